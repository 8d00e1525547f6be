/** Validation of a Service's cluster IPs and IP families (KEP-563). */
import { isIP } from 'node:net';
import type { Service } from '#types';
import {
  child,
  duplicate,
  type FieldError,
  index,
  invalid,
  notSupported,
  required,
} from '../../machinery/field.js';
import { validateIp } from '../../machinery/ip.js';
import { isHeadless } from './service-spec.js';

const POLICIES = ['PreferDualStack', 'RequireDualStack', 'SingleStack'];

export function validateClusterIps({ spec }: Service): FieldError[] {
  if (spec.type === 'ExternalName') return [];
  const path = 'spec.clusterIPs';
  const ips = spec.clusterIPs ?? [];
  const families = spec.ipFamilies ?? [];
  const errors: FieldError[] = [];
  if (spec.clusterIP && ips.length === 0) errors.push(required(path));
  else if (spec.clusterIP && ips[0] !== spec.clusterIP)
    errors.push(invalid(path, ips, 'first value must match `clusterIP`'));
  else if (!spec.clusterIP && ips.length > 0)
    errors.push(invalid(path, ips, 'must be empty when `clusterIP` is not specified'));
  families.forEach((family, i) => {
    const at = index('spec.ipFamilies', i);
    if (family !== 'IPv4' && family !== 'IPv6') errors.push(notSupported(at, family, ['IPv4', 'IPv6']));
    if (families.indexOf(family) < i) errors.push(duplicate(at, family));
  });
  if (spec.ipFamilyPolicy !== undefined && !POLICIES.includes(spec.ipFamilyPolicy))
    errors.push(notSupported('spec.ipFamilyPolicy', spec.ipFamilyPolicy, POLICIES));
  let broken = false;
  ips.forEach((ip, i) => {
    if (i === 0 && ip === 'None') {
      if (ips.length > 1) errors.push(invalid(path, ips, "'None' must be the first and only value"));
      broken ||= ips.length > 1;
      return;
    }
    const wrong = validateIp(ip, index(path, i));
    errors.push(...wrong);
    broken ||= wrong.length > 0;
  });
  if (ips.length > 2) errors.push(invalid(path, ips, 'may only hold up to 2 values'));
  if (broken) return errors;
  if (ips.length > 1 && ips.filter((ip) => isIP(ip) === 6).length !== 1)
    errors.push(invalid(path, ips, 'may specify no more than one IP for each IP family'));
  ips.forEach((ip, i) => {
    const family = families[i];
    if (ip !== 'None' && (family === 'IPv4' || family === 'IPv6') && (isIP(ip) === 6) !== (family === 'IPv6'))
      errors.push(
        invalid(index(path, i), ip, `expected an ${family} value as indicated by \`ipFamilies[${i}]\``),
      );
  });
  return errors;
}

/** The first cluster IP and family stay; the second may be added, or released with `SingleStack`. */
export function validateSameList(
  service: Service,
  old: Service,
  field: 'clusterIPs' | 'ipFamilies',
): FieldError[] {
  if (isHeadless(service) && isHeadless(old)) return [];
  if (field === 'ipFamilies' && isHeadless(service) !== isHeadless(old)) return [];
  const path = child('spec', field);
  const now: string[] = service.spec[field] ?? [];
  const before: string[] = old.spec[field] ?? [];
  const changed = (i: number) => invalid(index(path, i), now, 'may not change once set');
  if (now.length === before.length)
    return before.flatMap((value, i) => (value === now[i] ? [] : [changed(field === 'ipFamilies' ? 0 : i)]));
  if (now.length > before.length) return before.length > 0 && now[0] !== before[0] ? [changed(0)] : [];
  const one = field === 'clusterIPs' ? 'clusterIP' : 'ipFamily';
  const errors: FieldError[] = [];
  if (now.length === 0) errors.push(invalid(index(path, 0), now, `primary ${one} can not be unset`));
  else if (now[0] !== before[0]) errors.push(changed(0));
  if (now.length === 1 && service.spec.ipFamilyPolicy !== 'SingleStack')
    errors.push(
      invalid(
        'spec.ipFamilyPolicy',
        service.spec.ipFamilyPolicy,
        `must be set to 'SingleStack' when releasing the secondary ${one}`,
      ),
    );
  return errors;
}
