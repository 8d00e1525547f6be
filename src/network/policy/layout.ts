/**
 * The cluster's nftables table for NetworkPolicies, which is there only while some policy concerns a pod of the node.
 *
 * A new connection that is forwarded passes two base chains. The first looks the sender up in `isolated-egress`, the second
 * the receiver in `isolated-ingress`: pods of this node that some policy isolates. The verdict leads to a chain for the
 * set of policies that isolate the pod, such as `pods-3f…-ingress`; this jumps to each of them (`policy-a0…-ingress`), whose
 * rules accept what the policy allows, and drops at its end. Who the peers are is in sets of their own. So what is not
 * isolated costs two look-ups, and pods that come and go change elements, never rules.
 *
 * What a node sends itself is not forwarded, and so neither are probes nor answers of the node's DNS.
 */
import { createHash } from 'node:crypto';
import type { NamedPort, PeerGroup } from '../../api/resources/networking/policy-peers.js';
import type { Family } from '../family.js';
import {
  compare,
  connectionState,
  destinationAddress,
  lookup,
  mask,
  ofFamily,
  REGISTER,
  rule,
  sourceAddress,
  verdict,
} from '../nf-expressions.js';
import type { Hook, SetDefinition } from '../nf-messages.js';

export type Direction = 'ingress' | 'egress';
export const DIRECTIONS: Direction[] = ['egress', 'ingress'];

export const isolated = (direction: Direction): string => `isolated-${direction}`;
/** Pods that may be isolated reach themselves all the same, by way of a Service. */
export const SELF = 'self';

/** Sets and maps that are always there. */
export const FIXED: Record<string, SetDefinition> = {
  [isolated('egress')]: { key: ['address'], verdicts: true },
  [isolated('ingress')]: { key: ['address'], verdicts: true },
  [SELF]: { key: ['address', 'address'] },
};

const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);

export const policyChain = (key: string, direction: Direction): string =>
  `policy-${digest(key)}-${direction}`;

export const podsChain = (policies: string[], direction: Direction): string =>
  `pods-${digest(policies.join())}-${direction}`;

/** Members of a group: addresses, or addresses and port numbers. */
export const peersSet = ({ id, port }: Pick<PeerGroup, 'id' | 'port'>): string => peersSetOf(id, !!port);

export const peersSetOf = (id: string, withPorts: boolean): string =>
  `${withPorts ? 'ports' : 'peers'}-${id}`;

/** Where a named port is on pods of this node. */
export const namedSet = ({ name, protocol }: NamedPort): string => `named-${digest(`${protocol} ${name}`)}`;

export function definitionOf(set: string): SetDefinition {
  return FIXED[set] ?? { key: set.startsWith('peers-') ? ['address'] : ['address', 'port'] };
}

const NF_INET_FORWARD = 2;
const ESTABLISHED_OR_RELATED = Buffer.from([6, 0, 0, 0]);

export const baseChain = (direction: Direction): string => `forward-${direction}`;

/** After the machine's own filters: what these let pass is judged here. */
export const HOOKS: Record<Direction, Hook> = {
  egress: { number: NF_INET_FORWARD, priority: 10 },
  ingress: { number: NF_INET_FORWARD, priority: 11 },
};

export function baseRules(direction: Direction, family: Family): Buffer[] {
  const address = direction === 'ingress' ? destinationAddress : sourceAddress;
  const ours = ofFamily(family);
  return [
    rule(
      ...[connectionState(REGISTER), mask(REGISTER, ESTABLISHED_OR_RELATED)],
      ...[compare(REGISTER, 'notEqual', Buffer.alloc(4)), verdict('accept')],
    ),
    rule(
      ...[...ours, sourceAddress(family, REGISTER), destinationAddress(family, REGISTER + family.words)],
      ...[lookup(SELF, REGISTER), verdict('accept')],
    ),
    rule(...ours, address(family, REGISTER), lookup(isolated(direction), REGISTER, 0)),
  ];
}

export const podsRules = (policies: string[], direction: Direction): Buffer[] => [
  ...policies.map((key) => rule(verdict({ jump: policyChain(key, direction) }))),
  rule(verdict('drop')),
];
