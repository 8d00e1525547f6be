/** ServiceCIDRs: the ranges that addresses of Services are taken from (KEP-1880). */
import type { ServiceCIDR } from '#types';
import { type FieldError, index, invalid, required } from '../../machinery/field.js';
import { canonicalIp, validateCidr } from '../../machinery/ip.js';
import { parsePrefix } from '../../machinery/prefix.js';
import { sameJson, validateImmutable } from '../../machinery/validation.js';
import { ageColumn, nameColumn } from '../columns.js';
import { defineResource } from '../define.js';

/** That of the server's own `--service-cidr`. */
export const DEFAULT_SERVICE_CIDR = 'kubernetes';
export const SERVICE_CIDR_FINALIZER = 'networking.k8s.io/service-cidr-finalizer';

function validate({ spec }: ServiceCIDR): FieldError[] {
  const path = 'spec.cidrs';
  const cidrs = spec?.cidrs ?? [];
  if (cidrs.length === 0) return [required(path, 'at least one CIDR required')];
  if (cidrs.length > 2) return [invalid(path, spec, 'may only hold up to 2 values')];
  const errors = cidrs.flatMap((cidr, i) => validateServiceCidr(cidr, index(path, i)));
  const families = new Set(cidrs.map((cidr) => cidr.includes(':')));
  if (cidrs.length === 2 && (families.size < 2 || errors.length > 0))
    return [
      invalid(
        path,
        spec,
        'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64',
      ),
    ];
  return errors;
}

/** These are in canonical form: names of addresses follow from them. */
function validateServiceCidr(cidr: string, path: string): FieldError[] {
  const errors = validateCidr(cidr, path);
  if (errors.length > 0) return errors;
  const [head = '', tail] = cidr.split('/');
  const canonical = `${canonicalIp(head)}/${tail}`;
  return canonical === cidr
    ? []
    : [invalid(path, cidr, `must be in canonical form (${JSON.stringify(canonical)})`)];
}

/** `cidrs` may only be added to: the second IP family of a cluster. */
function validateUpdate({ spec }: ServiceCIDR, old: ServiceCIDR): FieldError[] {
  const before = old.spec?.cidrs ?? [];
  const now = spec?.cidrs ?? [];
  if (before.length === 1 && now.length === 2 && sameJson(now[0], before[0])) return [];
  return validateImmutable(now, before, 'spec.cidrs');
}

export const serviceCidrs = defineResource<ServiceCIDR>({
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'ServiceCIDR',
  plural: 'servicecidrs',
  namespaced: false,
  subresources: [{ name: 'status', kind: 'ServiceCIDR', verbs: ['get', 'patch', 'update'] }],
  prepareForCreate({ metadata }) {
    // From the first moment on: its addresses may be in use before a controller has seen it.
    if (metadata.finalizers?.includes(SERVICE_CIDR_FINALIZER)) return;
    metadata.finalizers = [...(metadata.finalizers ?? []), SERVICE_CIDR_FINALIZER];
  },
  validate,
  validateUpdate,
  columns: [
    nameColumn,
    {
      name: 'CIDRs',
      type: 'string',
      description: 'The ranges, one of each IP family.',
      cell: ({ spec }) => (spec?.cidrs ?? []).join(','),
    },
    ageColumn,
  ],
});

/** Whether new addresses may be taken from it. */
export function isUsable({ metadata, status }: ServiceCIDR): boolean {
  if (metadata.deletionTimestamp) return false;
  return (status?.conditions ?? []).every(({ type, status: is }) => type !== 'Ready' || is === 'True');
}

/** Whether `ip` may be an address of a Service within one of the ranges. */
export const containsAddress = ({ spec }: ServiceCIDR, ip: string): boolean =>
  (spec?.cidrs ?? []).some((cidr) => prefixHasAddress(cidr, ip));

/** The network's own address is nobody's, nor is the broadcast address of IPv4. */
function prefixHasAddress(cidr: string, ip: string): boolean {
  const { family, size, offsetOf } = parsePrefix(cidr);
  const offset = offsetOf(ip);
  return offset > 0 && (family === 'IPv6' || offset < size - 1);
}
