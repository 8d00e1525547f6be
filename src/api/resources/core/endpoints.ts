/** Endpoints: the older form of EndpointSlices. */
import type { EndpointAddress, EndpointPort, Endpoints } from '#types';
import { child, type FieldError, index, invalid, notSupported, required } from '../../machinery/field.js';
import { ipWarnings, validateIp, validateNonSpecialIp } from '../../machinery/ip.js';
import * as names from '../../machinery/names.js';
import {
  validateDns1123Label,
  validateDns1123Subdomain,
  validateQualifiedName,
} from '../../machinery/validation.js';
import { ageColumn, nameColumn, shortList } from '../columns.js';
import { defineResource } from '../define.js';
import { PROTOCOLS } from './podspec/validate-containers.js';

/** How many addresses a table shows. */
const SHOWN = 3;

function validate(endpoints: Endpoints): FieldError[] {
  return (endpoints.subsets ?? []).flatMap((subset, i) => {
    const at = index('subsets', i);
    const errors: FieldError[] = [];
    if (!subset.addresses?.length && !subset.notReadyAddresses?.length)
      errors.push(required(at, 'must specify `addresses` or `notReadyAddresses`'));
    for (const list of ['addresses', 'notReadyAddresses'] as const)
      subset[list]?.forEach((address, j) => {
        errors.push(...validateAddress(address, index(child(at, list), j)));
      });
    const ports = subset.ports ?? [];
    ports.forEach((port, j) => {
      errors.push(...validatePort(port, ports.length > 1, index(child(at, 'ports'), j)));
    });
    return errors;
  });
}

const validateAddress = (address: EndpointAddress, path: string): FieldError[] => [
  ...validateIp(address.ip ?? '', child(path, 'ip')),
  ...(address.hostname ? validateDns1123Label(address.hostname, child(path, 'hostname')) : []),
  ...(address.nodeName === undefined
    ? []
    : validateDns1123Subdomain(address.nodeName, child(path, 'nodeName'))),
  ...validateNonSpecialIp(address.ip ?? '', child(path, 'ip')),
];

function validatePort(port: EndpointPort, named: boolean, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (port.name) errors.push(...validateDns1123Label(port.name, child(path, 'name')));
  else if (named) errors.push(required(child(path, 'name')));
  for (const message of names.portNumber(port.port ?? 0))
    errors.push(invalid(child(path, 'port'), port.port ?? 0, message));
  if (!port.protocol) errors.push(required(child(path, 'protocol')));
  else if (!PROTOCOLS.includes(port.protocol))
    errors.push(notSupported(child(path, 'protocol'), port.protocol, PROTOCOLS));
  if (port.appProtocol !== undefined)
    errors.push(...validateQualifiedName(port.appProtocol, child(path, 'appProtocol')));
  return errors;
}

function addresses(endpoints: Endpoints): string {
  if (!endpoints.subsets?.length) return '<none>';
  const all = endpoints.subsets.flatMap((subset) => {
    const ips = (subset.addresses ?? []).map((address) => address.ip);
    if (!subset.ports?.length) return ips;
    return subset.ports.flatMap((port) =>
      ips.map((ip) => (ip.includes(':') ? `[${ip}]:${port.port}` : `${ip}:${port.port}`)),
    );
  });
  return shortList(all, SHOWN);
}

export const endpoints = defineResource<Endpoints>({
  group: '',
  version: 'v1',
  kind: 'Endpoints',
  plural: 'endpoints',
  singular: 'endpoints',
  shortNames: ['ep'],
  namespaced: true,
  deprecation: 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice',
  defaults(object) {
    for (const subset of object.subsets ?? []) for (const port of subset.ports ?? []) port.protocol ||= 'TCP';
  },
  validate,
  warnings: ({ subsets }) =>
    (subsets ?? []).flatMap((subset, i) =>
      (['addresses', 'notReadyAddresses'] as const).flatMap((list) =>
        (subset[list] ?? []).flatMap(({ ip }, j) =>
          ipWarnings(ip, child(index(child(index('subsets', i), list), j), 'ip')),
        ),
      ),
    ),
  columns: [
    nameColumn,
    {
      name: 'Endpoints',
      type: 'string',
      description: 'Addresses with their ports.',
      cell: addresses,
    },
    ageColumn,
  ],
});
