/** The formats of names, labels, keys and ports (apimachinery `util/validation`): each check returns messages. */

const LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const LABEL_UNDERSCORE = '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?';
const SUBDOMAIN = `${LABEL}(\\.${LABEL})*`;
const SUBDOMAIN_UNDERSCORE = `${LABEL_UNDERSCORE}(\\.${LABEL_UNDERSCORE})*`;
const DNS1035 = '[a-z]([-a-z0-9]*[a-z0-9])?';
const QUALIFIED = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const LABEL_VALUE = `(${QUALIFIED})?`;
const CONFIG_KEY = '[-._a-zA-Z0-9]+';
const HTTP_HEADER = '[-A-Za-z0-9]+';
const PERCENT = '[0-9]+%';

const CONDITION_REASON = '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?';

const whole = (pattern: string) => new RegExp(`^(?:${pattern})$`);
const labelRegexp = whole(LABEL);
const subdomainRegexp = whole(SUBDOMAIN);
const subdomainUnderscoreRegexp = whole(SUBDOMAIN_UNDERSCORE);
const dns1035Regexp = whole(DNS1035);
const qualifiedRegexp = whole(QUALIFIED);
const labelValueRegexp = whole(LABEL_VALUE);
const configKeyRegexp = whole(CONFIG_KEY);
const httpHeaderRegexp = whole(HTTP_HEADER);
const conditionReasonRegexp = whole(CONDITION_REASON);
const percentRegexp = whole(PERCENT);

const QUALIFIED_TEXT =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

/** Upstream's way to tell of a pattern: `… (e.g. 'a',  or 'b', regex used for validation is '…')`. */
function regexError(text: string, pattern: string, ...examples: string[]): string {
  if (examples.length === 0) return `${text} (regex used for validation is '${pattern}')`;
  const list = examples.map((e) => `'${e}', `).join(' or ');
  return `${text} (e.g. ${list}regex used for validation is '${pattern}')`;
}

export const inclusiveRange = (low: number, high: number): string =>
  `must be between ${low} and ${high}, inclusive`;

const tooManyCharacters = (max: number): string => `must be no more than ${max} characters`;
const tooManyBytes = (max: number): string => `must be no more than ${max} bytes`;
const byteLength = (value: string): number => Buffer.byteLength(value);

/** A check of a name: returns what is wrong with it, in upstream's words. */
export type NameCheck = (value: string) => string[];

/** RFC 1123 label, such as a namespace or a container. */
export function dns1123Label(value: string): string[] {
  const errors = byteLength(value) > 63 ? [tooManyCharacters(63)] : [];
  if (labelRegexp.test(value)) return errors;
  const text =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
  errors.push(
    subdomainRegexp.test(value) ? 'must not contain dots' : regexError(text, LABEL, 'my-name', '123-abc'),
  );
  return errors;
}

/** RFC 1123 subdomain: the name of most objects. */
export function dns1123Subdomain(value: string): string[] {
  const errors = byteLength(value) > 253 ? [tooManyCharacters(253)] : [];
  const text =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
  if (!subdomainRegexp.test(value)) errors.push(regexError(text, SUBDOMAIN, 'example.com'));
  return errors;
}

/** As `dns1123Subdomain`, with underscores (DNS search paths). */
export function dns1123SubdomainWithUnderscore(value: string): string[] {
  const errors = byteLength(value) > 253 ? [tooManyCharacters(253)] : [];
  const text =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character";
  if (!subdomainUnderscoreRegexp.test(value))
    errors.push(regexError(text, SUBDOMAIN_UNDERSCORE, 'example.com'));
  return errors;
}

/** RFC 1035 label: the name of a Service. */
export function dns1035Label(value: string): string[] {
  const errors = byteLength(value) > 63 ? [tooManyCharacters(63)] : [];
  const text =
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";
  if (!dns1035Regexp.test(value)) errors.push(regexError(text, DNS1035, 'my-name', 'abc-123'));
  return errors;
}

/** `name` or `prefix/name`: label and annotation keys, resource names, condition types. */
export function qualifiedName(value: string): string[] {
  const pattern = regexError(QUALIFIED_TEXT, QUALIFIED, 'MyName', 'my.name', '123-abc');
  const parts = value.split('/');
  if (parts.length > 2)
    return [
      `a qualified name ${pattern} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  const errors: string[] = [];
  const name = parts[parts.length - 1]!;
  if (parts.length === 2) {
    const prefix = parts[0]!;
    if (prefix === '') errors.push('prefix part must be non-empty');
    else errors.push(...dns1123Subdomain(prefix).map((e) => `prefix part ${e}`));
  }
  if (name === '') errors.push('name part must be non-empty');
  else if (byteLength(name) > 63) errors.push(`name part ${tooManyBytes(63)}`);
  if (!qualifiedRegexp.test(name)) errors.push(`name part ${pattern}`);
  return errors;
}

export function labelValue(value: string): string[] {
  const errors = byteLength(value) > 63 ? [tooManyBytes(63)] : [];
  const text = `a valid label must be an empty string or consist of ${QUALIFIED_TEXT.slice('must consist of '.length)}`;
  if (!labelValueRegexp.test(value))
    errors.push(regexError(text, LABEL_VALUE, 'MyValue', 'my_value', '12345'));
  return errors;
}

/** A key of a ConfigMap or a Secret. */
export function configMapKey(value: string): string[] {
  const errors = byteLength(value) > 253 ? [tooManyCharacters(253)] : [];
  const text = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
  if (!configKeyRegexp.test(value))
    errors.push(regexError(text, CONFIG_KEY, 'key.name', 'KEY_NAME', 'key-name'));
  if (value === '.') errors.push("must not be '.'");
  else if (value === '..') errors.push("must not be '..'");
  else if (value.startsWith('..')) errors.push("must not start with '..'");
  return errors;
}

/** The name of an environment variable: printable ASCII without `=` (KEP-4369). */
export function envVarName(value: string): string[] {
  if (value === '') return ['environment variable name must be non-empty'];
  return /^[\x20-\x3c\x3e-\x7e]*$/.test(value)
    ? []
    : ["a valid environment variable name must consist only of printable ASCII characters other than '='"];
}

export const portNumber = (port: number): string[] =>
  port >= 1 && port <= 65535 ? [] : [inclusiveRange(1, 65535)];

/** An IANA service name (RFC 6335), in lower case. */
export function portName(value: string): string[] {
  const errors: string[] = [];
  if (byteLength(value) > 15) errors.push(tooManyCharacters(15));
  if (!/^[-a-z0-9]+$/.test(value))
    errors.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  if (!/[a-z]/.test(value)) errors.push('must contain at least one letter (a-z)');
  if (value.includes('--')) errors.push('must not contain consecutive hyphens');
  if (value.startsWith('-') || value.endsWith('-')) errors.push('must not begin or end with a hyphen');
  return errors;
}

export function httpHeaderName(value: string): string[] {
  const text = "a valid HTTP header must consist of alphanumeric characters or '-'";
  return httpHeaderRegexp.test(value) ? [] : [regexError(text, HTTP_HEADER, 'X-Header-Name')];
}

export function conditionReason(value: string): string[] {
  const text =
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'";
  const examples = ['my_name', 'MY_NAME', 'MyName', 'ReasonA,ReasonB', 'ReasonA:ReasonB'];
  return conditionReasonRegexp.test(value) ? [] : [regexError(text, CONDITION_REASON, ...examples)];
}

export function percent(value: string): string[] {
  const text = "a valid percent string must be a numeric string followed by an ending '%'";
  return percentRegexp.test(value) ? [] : [regexError(text, PERCENT, '1%', '93%')];
}

/** A Unix user or group id: an unsigned 32-bit number. */
export const unixId = (id: number): string[] =>
  id >= 0 && id <= 0xffffffff ? [] : [inclusiveRange(0, 0xffffffff)];

/** A name that may stand in a URL path as one segment (RBAC objects and others without a stricter rule). */
export function pathSegment(value: string): string[] {
  if (value === '.') return ["may not be '.'"];
  if (value === '..') return ["may not be '..'"];
  return ['/', '%'].filter((c) => value.includes(c)).map((c) => `may not contain '${c}'`);
}

/** How upstream checks `generateName`: a trailing dash stands for the random suffix. */
export const maskTrailingDash = (name: string): string =>
  name.length > 1 && name.endsWith('-') ? `${name.slice(0, -2)}a` : name;

/** No vowels and few look-alikes, so that no words come out. */
const SUFFIX_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';
const SUFFIX_LENGTH = 5;

/** A name for `metadata.generateName`: the prefix, cut so that a label holds it, and five random characters. */
export function generateName(prefix: string, random: () => number = Math.random): string {
  let name = prefix.slice(0, 63 - SUFFIX_LENGTH);
  for (let i = 0; i < SUFFIX_LENGTH; i++)
    name += SUFFIX_ALPHABET[Math.floor(random() * SUFFIX_ALPHABET.length)];
  return name;
}
