/**
 * Validation of the fields that hold IP addresses and CIDR prefixes (apimachinery `util/validation/ip.go`, KEP-4858).
 *
 * What other software reads in different ways is refused, such as IPv4 with leading zeros; that IPv6 is not in its
 * canonical form is only warned of.
 */
import { isIP, isIPv4, isIPv6 } from 'node:net';
import { addressText, masked, parseNetwork } from './addresses.js';
import { type FieldError, invalid } from './field.js';

/** The address in its canonical form; undefined if it is none. */
export function canonicalIp(value: string): string | undefined {
  if (isIP(value) === 0 || value.includes('%')) return undefined;
  return isIPv6(value) ? new URL(`http://[${value}]/`).hostname.slice(1, -1) : value;
}

/** Octets without their leading zeros, also in an IPv4 address at the end of an IPv6 one. */
const withoutZeros = (value: string): string =>
  value.replace(/(^|[.:])0+(?=\d+\.)|\.0+(?=\d+$)/g, (match) => match.replace(/0+$/, ''));

const isMapped = (canonical: string): boolean => canonical.startsWith('::ffff:');

export function validateIp(value: string, path: string): FieldError[] {
  const plain = withoutZeros(value);
  const canonical = canonicalIp(plain);
  if (canonical === undefined)
    return [invalid(path, value, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)')];
  if (plain !== value) return [invalid(path, value, 'must not have leading 0s')];
  return isMapped(canonical) ? [invalid(path, value, 'must not be an IPv4-mapped IPv6 address')] : [];
}

/** Of a valid address. */
export function ipWarnings(value: string, path: string): string[] {
  const canonical = canonicalIp(value);
  return canonical === undefined || canonical === value
    ? []
    : [
        `${path}: IPv6 address ${JSON.stringify(value)} should be in RFC 5952 canonical format (${JSON.stringify(canonical)})`,
      ];
}

export function validateCidr(value: string, path: string): FieldError[] {
  const [head = '', tail = ''] = value.split('/', 2);
  const plain = withoutZeros(head);
  const canonical = canonicalIp(plain);
  const fits = /^\d{1,4}$/.test(tail) && Number(tail) <= (isIPv4(plain) ? 32 : 128);
  if (canonical === undefined || !fits || value.split('/').length !== 2)
    return [invalid(path, value, 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)')];
  if (plain !== head || /^0\d/.test(tail))
    return [invalid(path, value, 'must not have leading 0s in IP or prefix length')];
  if (isMapped(canonical)) return [invalid(path, value, 'must not have an IPv4-mapped IPv6 address')];
  return networkText(`${canonical}/${tail}`) === `${canonical}/${tail}`
    ? []
    : [invalid(path, value, 'must not have bits set beyond the prefix length')];
}

/** The prefix with the address of its network. */
function networkText(cidr: string): string {
  const { address, prefix } = masked(parseNetwork(cidr)!);
  return `${addressText(address)}/${prefix}`;
}

/** Of a valid prefix. */
export function cidrWarnings(value: string, path: string): string[] {
  const [head = '', tail] = value.split('/');
  const canonical = canonicalIp(head);
  return canonical === undefined || canonical === head
    ? []
    : [
        `${path}: IPv6 CIDR value ${JSON.stringify(value)} should be in RFC 5952 canonical format (${JSON.stringify(`${canonical}/${tail}`)})`,
      ];
}

/** Addresses that mean nothing outside one host may be neither endpoints nor external IPs. */
export function validateNonSpecialIp(value: string, path: string): FieldError[] {
  if (isIP(value) === 0) return [invalid(path, value, 'must be a valid IP address')];
  const lower = value.toLowerCase();
  if (value === '0.0.0.0' || /^[0:]+$/.test(value))
    return [invalid(path, value, `may not be unspecified (${value})`)];
  if (value.startsWith('127.') || /^[0:]*:0*1$/.test(value))
    return [invalid(path, value, 'may not be in the loopback range (127.0.0.0/8, ::1/128)')];
  if (value.startsWith('169.254.') || /^fe[89ab][0-9a-f]:/.test(lower))
    return [invalid(path, value, 'may not be in the link-local range (169.254.0.0/16, fe80::/10)')];
  if (value.startsWith('224.0.0.') || lower.startsWith('ff02:'))
    return [invalid(path, value, 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)')];
  return [];
}
