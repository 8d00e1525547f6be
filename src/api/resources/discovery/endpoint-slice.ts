/** EndpointSlices. */
import { isIPv4, isIPv6 } from 'node:net';
import type { DiscoveryV1EndpointPort, Endpoint, EndpointSlice } from '#types';
import {
  child,
  duplicate,
  type FieldError,
  index,
  invalid,
  notSupported,
  required,
  tooMany,
} from '../../machinery/field.js';
import { ipWarnings, validateNonSpecialIp } from '../../machinery/ip.js';
import * as names from '../../machinery/names.js';
import {
  sameJson,
  validateDns1123Label,
  validateDns1123Subdomain,
  validateImmutable,
  validateLabels,
  validateQualifiedName,
} from '../../machinery/validation.js';
import { ageColumn, nameColumn, shortList } from '../columns.js';
import { PROTOCOLS } from '../core/podspec/validate-containers.js';
import { defineResource } from '../define.js';

const MAX_ENDPOINTS = 1000;
const MAX_ADDRESSES = 100;
const MAX_PORTS = 20_000;
const MAX_TOPOLOGY = 16;
const MAX_HINTS = 8;
const SHOWN = 3;

function validate(slice: EndpointSlice): FieldError[] {
  const types = ['FQDN', 'IPv4', 'IPv6'];
  const errors: FieldError[] = [];
  if (!slice.addressType) errors.push(required('addressType'));
  else if (!types.includes(slice.addressType))
    errors.push(notSupported('addressType', slice.addressType, types));
  return [
    ...errors,
    ...validateEndpoints(slice.endpoints ?? [], slice.addressType),
    ...validatePorts(slice.ports ?? []),
  ];
}

function validateEndpoints(endpoints: Endpoint[], type: string): FieldError[] {
  if (endpoints.length > MAX_ENDPOINTS) return [tooMany('endpoints', endpoints.length, MAX_ENDPOINTS)];
  return endpoints.flatMap((endpoint, i) => {
    const at = index('endpoints', i);
    const path = child(at, 'addresses');
    const addresses = endpoint.addresses ?? [];
    const errors: FieldError[] = [];
    if (addresses.length === 0) errors.push(required(path, 'must contain at least 1 address'));
    else if (addresses.length > MAX_ADDRESSES) errors.push(tooMany(path, addresses.length, MAX_ADDRESSES));
    addresses.forEach((address, j) => {
      errors.push(...validateAddress(address, type, index(path, j)));
    });
    if (endpoint.nodeName !== undefined)
      errors.push(...validateDns1123Subdomain(endpoint.nodeName, child(at, 'nodeName')));
    const topology = endpoint.deprecatedTopology ?? {};
    const topologyPath = child(at, 'deprecatedTopology');
    if (Object.keys(topology).length > MAX_TOPOLOGY)
      errors.push(tooMany(topologyPath, Object.keys(topology).length, MAX_TOPOLOGY));
    errors.push(...validateLabels(topology, topologyPath));
    if (endpoint.hostname !== undefined)
      errors.push(...validateDns1123Label(endpoint.hostname, child(at, 'hostname')));
    return [...errors, ...validateHints(endpoint, child(at, 'hints'))];
  });
}

function validateAddress(address: string, type: string, path: string): FieldError[] {
  switch (type) {
    case 'IPv4':
    case 'IPv6': {
      const fits = type === 'IPv4' ? isIPv4(address) : isIPv6(address);
      const rule = `must be a valid ${type} address`;
      return [...(fits ? [] : [invalid(path, address, rule)]), ...validateNonSpecialIp(address, path)];
    }
    case 'FQDN': {
      const name = address.replace(/\.$/, '');
      if (address === '') return [required(path)];
      const messages = names.dns1123Subdomain(name);
      if (messages.length > 0) return [invalid(path, address, messages.join(','))];
      return name.includes('.')
        ? []
        : [invalid(path, address, 'should be a domain with at least two segments separated by dots')];
    }
    default:
      return [];
  }
}

function validateHints(endpoint: Endpoint, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const list of ['forZones', 'forNodes'] as const) {
    const hints = endpoint.hints?.[list] ?? [];
    const at = child(path, list);
    if (hints.length > MAX_HINTS) errors.push(tooMany(at, hints.length, MAX_HINTS));
    const seen = new Set<string>();
    hints.forEach(({ name = '' }, i) => {
      const where = child(index(at, i), 'name');
      if (seen.has(name)) errors.push(duplicate(where, name));
      seen.add(name);
      if (list === 'forNodes') errors.push(...validateDns1123Subdomain(name, where));
      else if (name === '') errors.push(required(where));
      else for (const message of names.labelValue(name)) errors.push(invalid(where, name, message));
    });
  }
  return errors;
}

function validatePorts(ports: DiscoveryV1EndpointPort[]): FieldError[] {
  if (ports.length > MAX_PORTS) return [tooMany('ports', ports.length, MAX_PORTS)];
  const seen = new Set<string>();
  return ports.flatMap((port, i) => {
    const at = index('ports', i);
    const name = port.name ?? '';
    const errors = name ? validateDns1123Label(name, child(at, 'name')) : [];
    if (seen.has(name)) errors.push(duplicate(child(at, 'name'), name));
    seen.add(name);
    if (!port.protocol) errors.push(required(child(at, 'protocol')));
    else if (!PROTOCOLS.includes(port.protocol))
      errors.push(notSupported(child(at, 'protocol'), port.protocol, PROTOCOLS));
    if (port.appProtocol !== undefined)
      errors.push(...validateQualifiedName(port.appProtocol, child(at, 'appProtocol')));
    return errors;
  });
}

/** What the beta version of the kind had in place of a node and a zone. */
function dropTopology(slice: EndpointSlice): void {
  for (const endpoint of slice.endpoints ?? []) delete endpoint.deprecatedTopology;
}

function warnings({ addressType, endpoints }: EndpointSlice): string[] {
  if (addressType === 'FQDN') return ['spec.addressType: FQDN endpoints are deprecated'];
  return (endpoints ?? []).flatMap(({ addresses }, i) =>
    addresses.flatMap((address, j) =>
      ipWarnings(address, index(child(index('endpoints', i), 'addresses'), j)),
    ),
  );
}

/** Shown in place of an empty list. */
const orUnset = (text: string): string => text || '<unset>';

export const endpointSlices = defineResource<EndpointSlice>({
  group: 'discovery.k8s.io',
  version: 'v1',
  kind: 'EndpointSlice',
  plural: 'endpointslices',
  namespaced: true,
  generation: true,
  defaults(slice) {
    for (const port of slice.ports ?? []) {
      port.name ??= '';
      port.protocol ??= 'TCP';
    }
  },
  prepareForCreate: dropTopology,
  prepareForUpdate(slice, old) {
    if (!sameJson(slice.endpoints, old.endpoints)) dropTopology(slice);
    // Labels say which service a slice belongs to, so they count as its content.
    if (!sameJson(slice.metadata.labels, old.metadata.labels))
      slice.metadata.generation = (old.metadata.generation ?? 0) + 1;
  },
  validate,
  warnings,
  validateUpdate: (slice, old) => validateImmutable(slice.addressType, old.addressType, 'addressType'),
  columns: [
    nameColumn,
    {
      name: 'AddressType',
      type: 'string',
      description: 'Kind of the addresses.',
      cell: (slice) => slice.addressType,
    },
    {
      name: 'Ports',
      type: 'string',
      description: 'Ports of the endpoints.',
      cell: (slice) =>
        orUnset(
          shortList(
            (slice.ports ?? []).map((p) => `${p.port ?? p.name ?? '*'}`),
            SHOWN,
          ),
        ),
    },
    {
      name: 'Endpoints',
      type: 'string',
      description: 'Addresses of the endpoints.',
      cell: (slice) =>
        orUnset(
          shortList(
            (slice.endpoints ?? []).flatMap((e) => e.addresses),
            SHOWN,
          ),
        ),
    },
    ageColumn,
  ],
});
