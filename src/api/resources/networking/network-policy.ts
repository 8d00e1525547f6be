/** NetworkPolicies: which traffic pods take part in. */
import { BlockList, isIPv6 } from 'node:net';
import type { IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from '#types';
import {
  child,
  type FieldError,
  forbidden,
  index,
  invalid,
  notSupported,
  required,
} from '../../machinery/field.js';
import { cidrWarnings, validateCidr } from '../../machinery/ip.js';
import { portName, portNumber } from '../../machinery/names.js';
import { checked, validateLabelSelector } from '../../machinery/validation.js';
import { ageColumn, formatLabelSelector, nameColumn } from '../columns.js';
import { defineResource } from '../define.js';

const PROTOCOLS = ['TCP', 'UDP', 'SCTP'];
const TYPES = ['Ingress', 'Egress'];

function defaults(policy: NetworkPolicy): void {
  policy.spec ??= {} as NetworkPolicy['spec'];
  const { spec } = policy;
  spec.podSelector ??= {};
  for (const rule of [...(spec.ingress ?? []), ...(spec.egress ?? [])])
    for (const port of rule.ports ?? []) port.protocol ??= 'TCP';
  if (!spec.policyTypes?.length) spec.policyTypes = spec.egress?.length ? ['Ingress', 'Egress'] : ['Ingress'];
}

function validate({ spec }: NetworkPolicy): FieldError[] {
  const errors = validateLabelSelector(spec.podSelector, 'spec.podSelector');
  (spec.ingress ?? []).forEach((rule, i) => {
    const at = index('spec.ingress', i);
    errors.push(...validateRule(rule.ports, rule.from, at, 'from'));
  });
  (spec.egress ?? []).forEach((rule, i) => {
    const at = index('spec.egress', i);
    errors.push(...validateRule(rule.ports, rule.to, at, 'to'));
  });
  const types = spec.policyTypes ?? [];
  if (types.length > TYPES.length)
    return [...errors, invalid('spec.policyTypes', types, 'may not specify more than two policyTypes')];
  types.forEach((type, i) => {
    if (!TYPES.includes(type)) errors.push(notSupported(index('spec.policyTypes', i), type, TYPES));
  });
  return errors;
}

const validateRule = (
  ports: NetworkPolicyPort[] | undefined,
  peers: NetworkPolicyPeer[] | undefined,
  path: string,
  peersField: string,
): FieldError[] => [
  ...(ports ?? []).flatMap((port, i) => validatePort(port, index(child(path, 'ports'), i))),
  ...(peers ?? []).flatMap((peer, i) => validatePeer(peer, index(child(path, peersField), i))),
];

function validatePort({ protocol, port, endPort }: NetworkPolicyPort, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const end = child(path, 'endPort');
  if (protocol !== undefined && !PROTOCOLS.includes(protocol))
    errors.push(notSupported(child(path, 'protocol'), protocol, PROTOCOLS));
  if (port === undefined) {
    if (endPort !== undefined)
      errors.push(invalid(end, endPort, 'may not be specified when `port` is not specified'));
    return errors;
  }
  if (typeof port === 'string') {
    if (endPort !== undefined)
      errors.push(invalid(end, endPort, 'may not be specified when `port` is non-numeric'));
    return [...errors, ...checked(child(path, 'port'), port, portName)];
  }
  errors.push(...portNumber(port).map((message) => invalid(child(path, 'port'), port, message)));
  if (endPort !== undefined) {
    if (endPort < port) errors.push(invalid(end, port, 'must be greater than or equal to `port`'));
    errors.push(...portNumber(endPort).map((message) => invalid(end, endPort, message)));
  }
  return errors;
}

function validatePeer(peer: NetworkPolicyPeer, path: string): FieldError[] {
  const { podSelector, namespaceSelector, ipBlock } = peer;
  const errors = [
    ...validateLabelSelector(podSelector, child(path, 'podSelector')),
    ...validateLabelSelector(namespaceSelector, child(path, 'namespaceSelector')),
    ...(ipBlock ? validateIpBlock(ipBlock, child(path, 'ipBlock')) : []),
  ];
  if (!podSelector && !namespaceSelector && !ipBlock) errors.push(required(path, 'must specify a peer'));
  else if (ipBlock && (podSelector || namespaceSelector))
    errors.push(forbidden(path, 'may not specify both ipBlock and another peer'));
  return errors;
}

function validateIpBlock({ cidr, except }: IPBlock, path: string): FieldError[] {
  if (!cidr) return [required(child(path, 'cidr'))];
  const errors = validateCidr(cidr, child(path, 'cidr'));
  const valid = errors.length === 0;
  (except ?? []).forEach((inner, i) => {
    const at = index(child(path, 'except'), i);
    const wrong = validateCidr(inner, at);
    errors.push(...wrong);
    if (valid && wrong.length === 0 && !isStrictSubset(inner, cidr))
      errors.push(invalid(at, inner, 'must be a strict subset of `cidr`'));
  });
  return errors;
}

function isStrictSubset(inner: string, outer: string): boolean {
  const [innerAddress = '', innerBits] = inner.split('/');
  const [outerAddress = '', outerBits] = outer.split('/');
  const family = (address: string) => (isIPv6(address) ? 'ipv6' : 'ipv4');
  if (family(innerAddress) !== family(outerAddress) || Number(innerBits) <= Number(outerBits)) return false;
  const range = new BlockList();
  range.addSubnet(outerAddress, Number(outerBits), family(outerAddress));
  return range.check(innerAddress, family(innerAddress));
}

const blockWarnings = (peers: NetworkPolicyPeer[] | undefined, path: string): string[] =>
  (peers ?? []).flatMap(({ ipBlock }, i) => {
    if (!ipBlock) return [];
    const at = child(index(path, i), 'ipBlock');
    return [
      ...cidrWarnings(ipBlock.cidr, child(at, 'cidr')),
      ...(ipBlock.except ?? []).flatMap((cidr, j) => cidrWarnings(cidr, index(child(at, 'except'), j))),
    ];
  });

export const networkPolicies = defineResource<NetworkPolicy>({
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'NetworkPolicy',
  plural: 'networkpolicies',
  shortNames: ['netpol'],
  namespaced: true,
  generation: true,
  defaults,
  validate,
  warnings: ({ spec }) => [
    ...(spec.ingress ?? []).flatMap(({ from }, i) =>
      blockWarnings(from, child(index('spec.ingress', i), 'from')),
    ),
    ...(spec.egress ?? []).flatMap(({ to }, i) => blockWarnings(to, child(index('spec.egress', i), 'to'))),
  ],
  columns: [
    nameColumn,
    {
      name: 'Pod-Selector',
      type: 'string',
      description: 'Labels of the pods that the policy is about.',
      cell: ({ spec }) => formatLabelSelector(spec.podSelector),
    },
    ageColumn,
  ],
});
