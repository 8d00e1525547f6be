/** Nodes. */
import type { Node } from '#types';
import { duplicate, type FieldError, forbidden, index, invalid } from '../../machinery/field.js';
import { validateCidr } from '../../machinery/ip.js';
import { sameJson } from '../../machinery/validation.js';
import { ageColumn, nameColumn } from '../columns.js';
import { type Column, defineResource } from '../define.js';
import { dropUnset } from '../unset.js';
import { validateQuantityValue } from './podspec/validate-resources.js';
import { validateTaints } from './podspec/validate-scheduling.js';

const ROLE = 'node-role.kubernetes.io/';

function defaults(node: Node): void {
  node.spec ??= {};
  const { spec, status } = node;
  if (spec.podCIDR && spec.podCIDRs?.[0] !== spec.podCIDR) spec.podCIDRs = [spec.podCIDR];
  else if (!spec.podCIDR && spec.podCIDRs?.[0]) spec.podCIDR = spec.podCIDRs[0];
  dropUnset(spec, ['unschedulable']);
  if (status?.capacity && !status.allocatable) status.allocatable = { ...status.capacity };
}

function validate(node: Node): FieldError[] {
  const errors = validateTaints(node.spec.taints, 'metadata.taints');
  for (const list of ['capacity', 'allocatable'] as const)
    for (const [name, quantity] of Object.entries(node.status?.[list] ?? {}))
      errors.push(...validateQuantityValue(name, quantity, `status.${list}.${name}`));
  return [...errors, ...validatePodCidrs(node.spec.podCIDRs ?? [])];
}

function validatePodCidrs(cidrs: string[]): FieldError[] {
  const path = 'spec.podCIDRs';
  const errors = cidrs.flatMap((cidr, i) => validateCidr(cidr, index(path, i)));
  if (cidrs.length < 2) return errors;
  if (cidrs.length > 2 || cidrs.filter((cidr) => cidr.includes(':')).length !== 1)
    errors.push(invalid(path, cidrs, 'may specify no more than one CIDR for each IP family'));
  cidrs.forEach((cidr, i) => {
    if (cidrs.indexOf(cidr) < i) errors.push(duplicate(index(path, i), cidr));
  });
  return errors;
}

function validateUpdate(node: Node, old: Node): FieldError[] {
  const errors: FieldError[] = [];
  const addresses = node.status?.addresses ?? [];
  addresses.forEach((address, i) => {
    const first = addresses.findIndex((a) => a.type === address.type && a.address === address.address);
    if (first < i) errors.push(duplicate(index('status.addresses', i), address));
  });
  const keep = 'node updates may not change';
  if (old.spec.podCIDRs?.length && !sameJson(node.spec.podCIDRs, old.spec.podCIDRs))
    errors.push(forbidden('spec.podCIDRs', `${keep} podCIDR except from "" to valid`));
  if (old.spec.providerID && node.spec.providerID !== old.spec.providerID)
    errors.push(forbidden('spec.providerID', `${keep} providerID except from "" to valid`));
  if ((node.spec.externalID ?? '') !== (old.spec.externalID ?? ''))
    errors.push(forbidden('spec.externalID', 'may not be updated'));
  return errors;
}

function status(node: Node): string {
  const ready = node.status?.conditions?.find((c) => c.type === 'Ready');
  const words = [ready ? (ready.status === 'True' ? 'Ready' : 'NotReady') : 'Unknown'];
  if (node.spec.unschedulable) words.push('SchedulingDisabled');
  return words.join(',');
}

/** Roles by label: `node-role.kubernetes.io/<role>` or `kubernetes.io/role: <role>`. */
function roles(node: Node): string {
  const found = new Set<string>();
  for (const [name, value] of Object.entries(node.metadata.labels ?? {})) {
    if (name.startsWith(ROLE) && name.length > ROLE.length) found.add(name.slice(ROLE.length));
    if (name === 'kubernetes.io/role' && value) found.add(value);
  }
  return [...found].sort().join(',') || '<none>';
}

const address = (node: Node, type: string): string =>
  node.status?.addresses?.find((a) => a.type === type)?.address ?? '<none>';

const columns: Column<Node>[] = [
  nameColumn,
  {
    name: 'Status',
    type: 'string',
    description: 'Whether the node can run pods, and gets new ones.',
    cell: status,
  },
  { name: 'Roles', type: 'string', description: 'Roles of the node, from its labels.', cell: roles },
  ageColumn,
  {
    name: 'Version',
    type: 'string',
    description: 'Kubernetes version that the node implements.',
    cell: (node) => node.status?.nodeInfo?.kubeletVersion ?? '',
  },
  {
    name: 'Internal-IP',
    type: 'string',
    priority: 1,
    description: 'Address within the cluster.',
    cell: (node) => address(node, 'InternalIP'),
  },
  {
    name: 'External-IP',
    type: 'string',
    priority: 1,
    description: 'Address that is reachable from outside.',
    cell: (node) => address(node, 'ExternalIP'),
  },
  {
    name: 'OS-Image',
    type: 'string',
    priority: 1,
    description: 'Operating system of the node.',
    cell: (node) => node.status?.nodeInfo?.osImage || '<unknown>',
  },
  {
    name: 'Kernel-Version',
    type: 'string',
    priority: 1,
    description: 'Kernel of the node.',
    cell: (node) => node.status?.nodeInfo?.kernelVersion || '<unknown>',
  },
  {
    name: 'Container-Runtime',
    type: 'string',
    priority: 1,
    description: 'What runs the containers, and its version.',
    cell: (node) => node.status?.nodeInfo?.containerRuntimeVersion || '<unknown>',
  },
];

export const nodes = defineResource<Node>({
  group: '',
  version: 'v1',
  kind: 'Node',
  plural: 'nodes',
  shortNames: ['no'],
  namespaced: false,
  subresources: [
    { name: 'proxy', kind: 'NodeProxyOptions', verbs: ['create', 'delete', 'get', 'patch', 'update'] },
    { name: 'status', kind: 'Node', verbs: ['get', 'patch', 'update'] },
  ],
  defaults,
  prepareForStatusUpdate(node, old) {
    node.spec = old.spec;
  },
  validate,
  validateUpdate,
  validateStatusUpdate: (node, old) => [...validate(node), ...validateUpdate(node, old)],
  columns,
  fields: { 'spec.unschedulable': (node) => `${node.spec.unschedulable ?? false}` },
});
