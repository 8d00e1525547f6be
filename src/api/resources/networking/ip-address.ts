/** IPAddresses: which object has an address of the cluster (KEP-1880). Those of Services are written with these. */
import { isIPv6 } from 'node:net';
import type { IPAddress, Service } from '#types';
import { type FieldError, required } from '../../machinery/field.js';
import { canonicalIp } from '../../machinery/ip.js';
import { dns1123Subdomain, pathSegment } from '../../machinery/names.js';
import { checked, validateImmutable } from '../../machinery/validation.js';
import { nameColumn } from '../columns.js';
import { defineResource } from '../define.js';

/** Labels of every address that was given to a Service. */
export const IP_FAMILY_LABEL = 'ipaddress.kubernetes.io/ip-family';
export const MANAGED_BY_LABEL = 'ipaddress.kubernetes.io/managed-by';
export const IP_ALLOCATOR = 'ipallocator.k8s.io';

function ipAddressName(name: string): string[] {
  const canonical = canonicalIp(name);
  if (canonical === undefined) return ['must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'];
  if (canonical.startsWith('::ffff:')) return ['must not be an IPv4-mapped IPv6 address'];
  return canonical === name ? [] : [`must be in canonical form (${JSON.stringify(canonical)})`];
}

function validate({ spec }: IPAddress): FieldError[] {
  const parent = spec?.parentRef;
  const path = 'spec.parentRef';
  if (!parent) return [required(path)];
  const needed = (field: 'resource' | 'name'): FieldError[] =>
    parent[field] ? checked(`${path}.${field}`, parent[field], pathSegment) : [required(`${path}.${field}`)];
  return [
    ...(parent.group ? checked(`${path}.group`, parent.group, dns1123Subdomain) : []),
    ...needed('resource'),
    ...needed('name'),
    ...(parent.namespace ? checked(`${path}.namespace`, parent.namespace, pathSegment) : []),
  ];
}

function parentName({ spec }: IPAddress): string {
  const parent = spec?.parentRef;
  if (!parent) return '<none>';
  const kind = parent.group ? `${parent.resource}.${parent.group}` : parent.resource;
  return [kind, ...(parent.namespace ? [parent.namespace] : []), parent.name].join('/');
}

export const ipAddresses = defineResource<IPAddress>({
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'IPAddress',
  plural: 'ipaddresses',
  shortNames: ['ip'],
  namespaced: false,
  validateName: ipAddressName,
  validate,
  validateUpdate: ({ spec }, old) =>
    validateImmutable(spec?.parentRef, old.spec?.parentRef, 'spec.parentRef'),
  columns: [
    nameColumn,
    { name: 'ParentRef', type: 'string', description: 'The object that has the address.', cell: parentName },
  ],
});

/** That `service` has the address `ip`. */
export const serviceIpAddress = (ip: string, { metadata }: Service): IPAddress => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'IPAddress',
  metadata: {
    name: ip,
    labels: { [IP_FAMILY_LABEL]: isIPv6(ip) ? 'IPv6' : 'IPv4', [MANAGED_BY_LABEL]: IP_ALLOCATOR },
  } as IPAddress['metadata'],
  spec: {
    parentRef: { resource: 'services', namespace: metadata.namespace ?? '', name: metadata.name },
  },
});

/** The Service that an address refers to, as `namespace/name`; undefined for other kinds. */
export function serviceOfAddress({ spec }: IPAddress): string | undefined {
  const parent = spec?.parentRef;
  if (!parent || parent.group || parent.resource !== 'services') return undefined;
  return `${parent.namespace}/${parent.name}`;
}

/** Whether the labels are those that the allocator gives. */
export const hasAllocatorLabels = ({ metadata }: IPAddress): boolean =>
  metadata.labels?.[MANAGED_BY_LABEL] === IP_ALLOCATOR &&
  metadata.labels[IP_FAMILY_LABEL] === (isIPv6(metadata.name) ? 'IPv6' : 'IPv4');

/** The addresses of the cluster that a Service has. */
export const clusterIpsOf = ({ spec }: Service): string[] =>
  spec.type === 'ExternalName' ? [] : (spec.clusterIPs ?? []).filter((ip) => ip !== '' && ip !== 'None');
