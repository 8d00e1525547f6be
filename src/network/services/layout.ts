/**
 * The part of the cluster's nftables table that serves Services: fixed chains, and maps that hold all that changes.
 *
 * A new connection's destination is looked up in `services` (address, protocol, port) or, if it is one of the
 * node's own addresses, in `nodeports` (protocol, port). The verdict leads to a chain that picks one of so many
 * endpoints, such as `services-3`: it finds the number of the target in `services-ids` by the same key, draws
 * an index, and takes the endpoint at (target, index) from `endpoints`. So a connection costs three look-ups however
 * many Services there are, and a change of a Service is a change of elements, never of rules.
 *
 * The maps `…-outside` come first for what comes from outside of the cluster, where `externalTrafficPolicy: Local`
 * makes a difference. Who is hidden behind the node's address is decided on the connection's original
 * destination, so no packet marks are needed.
 *
 * Elements and the chains that `nft` of 2022 can't express go to the kernel by netlink from within the agent, some
 * 0.1 ms a transaction; an `nft` process takes 5 ms to start, and one that is kept reads the table again after
 * each change. What is fixed is written in the language of nft, once, when the node's network is set up.
 */

/** What a part of a key or of data is; each takes a register of 4 bytes. */
export type Field = 'address' | 'protocol' | 'port' | 'number';

export interface Layout {
  key: Field[];
  /** Absent for a set. */
  data?: Field[] | 'verdict';
}

const BY_ADDRESS: Field[] = ['address', 'protocol', 'port'];
const BY_PORT: Field[] = ['protocol', 'port'];
const ENDPOINT: Field[] = ['address', 'port'];

/** Maps whose verdicts lead to chains that pick an endpoint, each with a map of targets' numbers beside it. */
export const DISPATCH = {
  services: BY_ADDRESS,
  'services-outside': BY_ADDRESS,
  nodeports: BY_PORT,
  'nodeports-outside': BY_PORT,
} as const;

export type Dispatch = keyof typeof DISPATCH;

export const idsOf = (dispatch: Dispatch): string => `${dispatch}-ids`;

/** The chain that hides clients, and its two sets. */
export const MASQUERADE = {
  chain: 'service-masquerade',
  addresses: 'masqueraded',
  ports: 'masqueraded-ports',
};

/** Addresses of load balancers that only some clients may use, and the chains that tell which. */
export const GUARDS = 'guards';

/** All maps and sets whose elements follow from Services. */
export const MAPS: Record<string, Layout> = {
  ...Object.fromEntries(
    Object.entries(DISPATCH).flatMap(([name, key]) => [
      [name, { key, data: 'verdict' }],
      [idsOf(name as Dispatch), { key, data: ['number'] }],
    ]),
  ),
  /** (target, index) → the endpoint. */
  endpoints: { key: ['number', 'number'], data: ENDPOINT },
  /** The same for targets with session affinity: (target, index) → the endpoint's number, and that → the endpoint. */
  'sticky-members': { key: ['number', 'number'], data: ['number'] },
  'sticky-endpoints': { key: ['number'], data: ENDPOINT },
  /** Pods that may reach themselves through a Service: the answer must come back to the node. */
  hairpin: { key: ['address', 'address'] },
  'cluster-ips': { key: ['address'] },
  /** Original destinations whose clients are hidden behind the node. */
  [MASQUERADE.addresses]: { key: BY_ADDRESS },
  [MASQUERADE.ports]: { key: BY_PORT },
  [GUARDS]: { key: BY_ADDRESS, data: 'verdict' },
};

/** (target, client) → the number of the endpoint where it was led before. Filled by the kernel, never by us. */
export const AFFINITY = 'affinity';
const AFFINITY_SIZE = 1 << 18;

/** The verdict of what nobody serves. */
export const REFUSE = 'service-refuse';

const TYPES: Record<Field, string> = {
  address: 'ipv4_addr',
  protocol: 'inet_proto',
  port: 'inet_service',
  number: 'mark',
};

const typeOf = (fields: readonly Field[]): string => fields.map((field) => TYPES[field]).join(' . ');

function declaration([name, { key, data }]: [string, Layout]): string {
  if (data === undefined) return `set ${name} { type ${typeOf(key)}; }`;
  return `map ${name} { type ${typeOf(key)} : ${data === 'verdict' ? data : typeOf(data)}; }`;
}

const ADDRESS_KEY = 'ip daddr . meta l4proto . th dport';
const PORT_KEY = 'meta l4proto . th dport';

/**
 * The fixed part in the language of nft, for `nft -f`. Idempotent: elements and picking chains stay. `table` is such
 * as `inet keelson-default`; `bridge` is the link that pods hang on.
 */
export function serviceRules(table: string, clusterCidr: string, bridge: string): string {
  const chains: Record<string, { hook?: string; rules: string[] }> = {
    [REFUSE]: { rules: ['meta l4proto tcp reject with tcp reset', 'reject'] },
    'service-dispatch': {
      rules: [
        `${ADDRESS_KEY} vmap @services`,
        `ip daddr @cluster-ips goto ${REFUSE}`,
        `fib daddr type local ${PORT_KEY} vmap @nodeports`,
      ],
    },
    'service-prerouting': {
      hook: 'type nat hook prerouting priority dstnat',
      rules: [
        `${ADDRESS_KEY} vmap @${GUARDS}`,
        `ip saddr != ${clusterCidr} ${ADDRESS_KEY} vmap @services-outside`,
        `ip saddr != ${clusterCidr} fib daddr type local ${PORT_KEY} vmap @nodeports-outside`,
        'jump service-dispatch',
      ],
    },
    'service-output': { hook: 'type nat hook output priority -100', rules: ['jump service-dispatch'] },
    'service-postrouting': {
      hook: 'type nat hook postrouting priority srcnat - 1',
      rules: [
        'ct status & dnat == 0 accept',
        'oifname "lo" accept',
        'ip saddr . ip daddr @hairpin masquerade',
        'ip saddr 127.0.0.0/8 masquerade',
        `ct original ip daddr @cluster-ips ip saddr != ${clusterCidr} masquerade`,
        'ct original ip daddr @cluster-ips accept',
        `jump ${MASQUERADE.chain}`,
      ],
    },
    // Pods' link takes packets for the loopback network, as node ports there need it: only those that were translated.
    'service-input': {
      hook: 'type filter hook input priority filter',
      rules: [`iifname "${bridge}" ip daddr 127.0.0.0/8 ct status & dnat == 0 drop`],
    },
    // From a pod to its neighbour by way of the node is no detour: answers must come back the same way.
    'service-redirects': {
      hook: 'type filter hook output priority filter',
      rules: [`oifname "${bridge}" icmp type redirect drop`],
    },
  };
  const lines = [`add table ${table}`, `add chain ${table} ${MASQUERADE.chain}`];
  for (const entry of Object.entries(MAPS))
    lines.push(`add ${declaration(entry).replace(' ', ` ${table} `)}`);
  lines.push(
    `add map ${table} ${AFFINITY} { type mark . ipv4_addr : mark; size ${AFFINITY_SIZE}; flags dynamic,timeout; }`,
  );
  for (const [name, { hook }] of Object.entries(chains))
    lines.push(
      `add chain ${table} ${name}${hook ? ` { ${hook}; policy accept; }` : ''}`,
      `flush chain ${table} ${name}`,
    );
  for (const [name, { rules }] of Object.entries(chains))
    for (const rule of rules) lines.push(`add rule ${table} ${name} ${rule}`);
  return `${lines.join('\n')}\n`;
}
