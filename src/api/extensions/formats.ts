/** String formats that schemas may name (kube-openapi `strfmt`); unknown ones are ignored. */
import { isIP, isIPv4, isIPv6 } from 'node:net';
import { dns1123Label, dns1123Subdomain } from '../machinery/names.js';

const matches =
  (pattern: RegExp) =>
  (value: string): boolean =>
    pattern.test(value);

const uuid = (version: string) =>
  matches(new RegExp(`^[0-9a-f]{8}-?[0-9a-f]{4}-?${version}[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$`, 'i'));

const DATE_TIME = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;
const DURATION =
  /^-?(\d+(\.\d*)?|\.\d+)\s*(ns|us|µs|ms|s|m|h|d|w|(nano|micro|milli)?seconds?|minutes?|hours?|days?|weeks?|[a-z]+)(\s*(\d+(\.\d*)?|\.\d+)\s*[a-zµ]+)*$/i;
/** An address as mail programs write it: with a name before it, or with a quoted part. */
const ATOM = String.raw`[^\s@"<>(),:;[\]\\.]+`;
const ADDRESS = String.raw`(?:${ATOM}(?:\.${ATOM})*|"(?:[^"\\]|\\.)*")@(?:${ATOM}(?:\.${ATOM})*|\[[^\]]*\])`;
const EMAIL = new RegExp(`^(?:${ADDRESS}|[^<>]*<${ADDRESS}>)$`);

/** One label with at most one dash, or several with a top-level domain of letters (kube-openapi `HostnamePattern`). */
const LABEL = String.raw`[a-zA-Z0-9\p{S}\p{L}]`;
const HOSTNAME = new RegExp(
  String.raw`^(?:${LABEL}(?:-?${LABEL}{0,62})?|(?:${LABEL}(?:[a-zA-Z0-9\-\p{S}\p{L}]{0,61}${LABEL})?\.)+[a-zA-Z\p{L}]{2,63})$`,
  'u',
);

const isHostname = (value: string): boolean =>
  HOSTNAME.test(value) && value.length <= 255 && value.split('.').every((label) => label.length <= 63);

/** Leading zeros count for nothing, and IPv6 has a form for IPv4 as well. */
const isAnyIpv4 = (value: string): boolean =>
  isIPv4(value.replace(/(^|\.)0+(?=\d)/g, '$1')) || (isIPv6(value) && /^::ffff:\d+\./i.test(value));

function isDate(value: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(value)) return false;
  const time = new Date(`${value}T00:00:00Z`);
  return !Number.isNaN(time.getTime()) && time.toISOString().startsWith(value);
}

function isCidr(value: string): boolean {
  const [address = '', bits = '', rest] = value.split('/');
  if (rest !== undefined || !/^\d{1,3}$/.test(bits)) return false;
  return isIP(address) !== 0 && Number(bits) <= (isIPv4(address) ? 32 : 128);
}

function isUri(value: string): boolean {
  if (value.startsWith('/')) return true;
  return /^[A-Za-z][A-Za-z0-9+.-]*:/.test(value) && URL.canParse(value);
}

const BYTE = String.raw`\s*(?:0|[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])\s*`;
const RGB = new RegExp(String.raw`^rgb\(${BYTE},${BYTE},${BYTE}\)$`);

/** By the format's name without dashes, as upstream normalizes it. */
const FORMATS: Record<string, (value: string) => boolean> = {
  bsonobjectid: matches(/^[0-9a-f]{24}$/i),
  uri: isUri,
  email: matches(EMAIL),
  hostname: isHostname,
  ipv4: isAnyIpv4,
  ipv6: (value) => isIPv6(value) && !value.includes('%'),
  cidr: isCidr,
  mac: matches(/^([0-9a-f]{2}([:-][0-9a-f]{2}){5}([:-][0-9a-f]{2}){0,2}|[0-9a-f]{4}(\.[0-9a-f]{4}){2,3})$/i),
  uuid: uuid('[0-9a-f]'),
  uuid3: uuid('3'),
  uuid4: uuid('4'),
  uuid5: uuid('5'),
  isbn: matches(/^(?:97[89][- ]?)?(?:\d[- ]?){9}[\dXx]$/),
  isbn10: matches(/^(?:\d[- ]?){9}[\dXx]$/),
  isbn13: matches(/^97[89][- ]?(?:\d[- ]?){9}\d$/),
  creditcard: matches(/^(?:\d[- ]?){12,18}\d$/),
  ssn: matches(/^\d{3}[- ]\d{2}[- ]\d{4}$/),
  hexcolor: matches(/^#?([0-9a-f]{3}|[0-9a-f]{6})$/i),
  rgbcolor: matches(RGB),
  byte: matches(/^(?!$)(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/),
  date: isDate,
  duration: matches(DURATION),
  datetime: (value) => DATE_TIME.test(value) && !Number.isNaN(Date.parse(value.toUpperCase())),
  k8sshortname: (value) => dns1123Label(value).length === 0,
  k8slongname: (value) => dns1123Subdomain(value).length === 0,
};

const known = (format: string) => FORMATS[format.replaceAll('-', '')];

/** Whether a string is of a format; true for formats that nobody knows. */
export const hasFormat = (value: string, format: string): boolean => known(format)?.(value) ?? true;
