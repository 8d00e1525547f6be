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
import type { Family } from '../family.js';

/** What a part of a key or of data is; each takes a register of 4 bytes, an IPv6 address four of them. */
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

const TYPES: Record<Exclude<Field, 'address'>, string> = {
  protocol: 'inet_proto',
  port: 'inet_service',
  number: 'mark',
};

function declaration([name, { key, data }]: [string, Layout], { type }: Family): string {
  const typeOf = (fields: readonly Field[]) =>
    fields.map((field) => (field === 'address' ? type : TYPES[field])).join(' . ');
  if (data === undefined) return `set ${name} { type ${typeOf(key)}; }`;
  return `map ${name} { type ${typeOf(key)} : ${data === 'verdict' ? data : typeOf(data)}; }`;
}

const PORT_KEY = 'meta l4proto . th dport';

/**
 * The fixed part in the language of nft, for `nft -f`. Idempotent: elements and picking chains stay. `table` is such
 * as `inet keelson-default`; `bridge` is the link that pods hang on.
 */
export function serviceRules(family: Family, table: string, clusterCidr: string, bridge: string): string {
  const { nft, type, loopback, icmp } = family;
  const addressKey = `${nft} daddr . meta l4proto . th dport`;
  const outside = `${nft} saddr != ${clusterCidr}`;
  // Answers to who used a node port at the loopback address find back by IPv4 only.
  const local = `${nft === 'ip6' ? `ip6 daddr != ${loopback} ` : ''}fib daddr type local`;
  /** The table of IPv4 sees what is of IPv6 too. */
  const ours = nft === 'ip' ? ['meta nfproto != ipv4 accept'] : [];
  const chains: Record<string, { hook?: string; rules: string[] }> = {
    [REFUSE]: { rules: ['meta l4proto tcp reject with tcp reset', 'reject'] },
    'service-dispatch': {
      rules: [
        `${addressKey} vmap @services`,
        `${nft} daddr @cluster-ips goto ${REFUSE}`,
        `${local} ${PORT_KEY} vmap @nodeports`,
      ],
    },
    'service-prerouting': {
      hook: 'type nat hook prerouting priority dstnat',
      rules: [
        ...ours,
        `${addressKey} vmap @${GUARDS}`,
        `${outside} ${addressKey} vmap @services-outside`,
        `${outside} ${local} ${PORT_KEY} vmap @nodeports-outside`,
        'jump service-dispatch',
      ],
    },
    'service-output': {
      hook: 'type nat hook output priority -100',
      rules: [...ours, 'jump service-dispatch'],
    },
    'service-postrouting': {
      hook: 'type nat hook postrouting priority srcnat - 1',
      rules: [
        ...ours,
        'ct status & dnat == 0 accept',
        'oifname "lo" accept',
        `${nft} saddr . ${nft} daddr @hairpin masquerade`,
        `${nft} saddr ${loopback} masquerade`,
        `ct original ${nft} daddr @cluster-ips ${outside} masquerade`,
        `ct original ${nft} daddr @cluster-ips accept`,
        `jump ${MASQUERADE.chain}`,
      ],
    },
    // Pods' link takes packets for the loopback network, as node ports there need it: only those that were translated.
    'service-input': {
      hook: 'type filter hook input priority filter',
      rules: [`iifname "${bridge}" ${nft} daddr ${loopback} ct status & dnat == 0 drop`],
    },
    // From a pod to its neighbour by way of the node is no detour: answers must come back the same way.
    'service-redirects': {
      hook: 'type filter hook output priority filter',
      rules: [`oifname "${bridge}" ${icmp} type ${nft === 'ip' ? 'redirect' : 'nd-redirect'} drop`],
    },
  };
  const lines = [`add table ${table}`, `add chain ${table} ${MASQUERADE.chain}`];
  for (const entry of Object.entries(MAPS))
    lines.push(`add ${declaration(entry, family).replace(' ', ` ${table} `)}`);
  lines.push(
    `add map ${table} ${AFFINITY} { type mark . ${type} : mark; size ${AFFINITY_SIZE}; flags dynamic,timeout; }`,
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
