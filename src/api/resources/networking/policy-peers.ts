/**
 * What a NetworkPolicy's rules mean: which peers, at which ports. Hub and agents read policies by the same functions: the
 * one tells which pods a group holds, the others name it.
 */
import { createHash } from 'node:crypto';
import type {
  IPBlock,
  LabelSelector,
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
  Pod,
} from '#types';

/** Pods that rules refer to, by their selectors: one group however many policies mean it. */
export interface PeerGroup {
  id: string;
  /** The only namespace that counts; else `namespaceSelector` tells. */
  namespace?: string;
  namespaceSelector?: LabelSelector;
  /** All pods of the namespaces when absent. */
  podSelector?: LabelSelector;
  /** Members are `<address>:<number>` (`[<address>]:<number>` of IPv6) of pods that have such a port; else addresses. */
  port?: NamedPort;
}

/** A member of a group as text. */
export const memberText = (ip: string, port?: number): string =>
  port === undefined ? ip : `${ip.includes(':') ? `[${ip}]` : ip}:${port}`;

export function parseMember(member: string): { ip: string; port?: number } {
  const [, v6, v4, port] = /^(?:\[(.+)\]|([^:]+)):(\d+)$/.exec(member) ?? [];
  return port === undefined ? { ip: member } : { ip: (v6 ?? v4)!, port: Number(port) };
}

export interface NamedPort {
  name: string;
  protocol: string;
}

export type PolicyPeer = 'any' | { group: PeerGroup } | { block: IPBlock };

/** Which destination ports: all of any protocol, or all of one, or a range. */
export type PolicyPort = 'any' | { protocol: string; from?: number; to?: number } | { named: NamedPort };

/** A connection is allowed if its peer and its port are those of one clause. */
export interface PolicyClause {
  peer: PolicyPeer;
  port: PolicyPort;
  /** Of a named port, the pods and numbers that it stands for; absent at `ingress`, where the pod itself says. */
  destinations?: PeerGroup;
}

/** Absent: the policy does not isolate pods in that direction. */
export interface PolicyRules {
  ingress?: PolicyClause[];
  egress?: PolicyClause[];
}

/** @see https://kubernetes.io/docs/concepts/services-networking/network-policies/ */
export function policyRules({ metadata, spec }: NetworkPolicy): PolicyRules {
  const types = spec.policyTypes?.length
    ? spec.policyTypes
    : ['Ingress', ...(spec.egress?.length ? ['Egress'] : [])];
  const namespace = metadata.namespace!;
  const rules: PolicyRules = {};
  if (types.includes('Ingress'))
    rules.ingress = (spec.ingress ?? []).flatMap(({ from, ports }) =>
      product(peersOf(from, namespace), ports).map(([peer, port]) => ({ peer, port })),
    );
  if (types.includes('Egress'))
    rules.egress = (spec.egress ?? []).flatMap(({ to, ports }) =>
      product(peersOf(to, namespace), ports).map(([peer, port]) => outgoing(peer, port)),
    );
  return rules;
}

function product(
  peers: PolicyPeer[],
  ports: NetworkPolicyPort[] | undefined,
): [peer: PolicyPeer, port: PolicyPort][] {
  const wanted = ports?.length ? ports.map(portOf) : ['any' as const];
  return peers.flatMap((peer) => wanted.map((port): [PolicyPeer, PolicyPort] => [peer, port]));
}

function outgoing(peer: PolicyPeer, port: PolicyPort): PolicyClause {
  if (port === 'any' || !('named' in port)) return { peer, port };
  if (peer === 'any' || 'block' in peer)
    return { peer, port, destinations: group({ namespaceSelector: {}, port: port.named }) };
  // Members of the group with the port are of the group: the one look-up says both.
  const { id: _, ...selectors } = peer.group;
  return { peer: 'any', port, destinations: group({ ...selectors, port: port.named }) };
}

const peersOf = (peers: NetworkPolicyPeer[] | undefined, namespace: string): PolicyPeer[] =>
  peers?.length ? peers.map((peer) => peerOf(peer, namespace)) : ['any'];

function peerOf(
  { ipBlock, namespaceSelector, podSelector }: NetworkPolicyPeer,
  namespace: string,
): PolicyPeer {
  if (ipBlock) return { block: ipBlock };
  const scope = namespaceSelector ? { namespaceSelector } : { namespace };
  return { group: group({ ...scope, ...(podSelector ? { podSelector } : {}) }) };
}

function portOf({ protocol = 'TCP', port, endPort }: NetworkPolicyPort): PolicyPort {
  if (port === undefined) return { protocol };
  if (typeof port === 'string') return { named: { name: port, protocol } };
  return { protocol, from: port, to: endPort ?? port };
}

/** The same selectors give the same group, whatever order their parts are written in. */
function group(selectors: Omit<PeerGroup, 'id'>): PeerGroup {
  const text = JSON.stringify(selectors, (_, value) =>
    value && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
  return { id: createHash('sha256').update(text).digest('hex').slice(0, 16), ...selectors };
}

/** The groups that a policy's rules refer to, each once. */
export function policyGroups(policy: NetworkPolicy): PeerGroup[] {
  const { ingress = [], egress = [] } = policyRules(policy);
  const groups = new Map<string, PeerGroup>();
  for (const { peer, destinations } of [...ingress, ...egress]) {
    if (peer !== 'any' && 'group' in peer) groups.set(peer.group.id, peer.group);
    if (destinations) groups.set(destinations.id, destinations);
  }
  return [...groups.values()];
}

/** The numbers of a pod's ports of that name and protocol. */
export function portNumbers({ spec }: Pick<Pod, 'spec'>, { name, protocol }: NamedPort): number[] {
  const sidecars = (spec.initContainers ?? []).filter((c) => c.restartPolicy === 'Always');
  const ports = [...sidecars, ...spec.containers].flatMap((container) => container.ports ?? []);
  return ports
    .filter((port) => port.name === name && (port.protocol ?? 'TCP') === protocol)
    .map(({ containerPort }) => containerPort);
}
