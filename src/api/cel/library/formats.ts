/** Kubernetes' named formats: `format.dns1123Label().validate("a b")`. */
import * as names from '../../machinery/names.js';
import { func, method, type Overload } from '../declare.js';
import { parseTimestamp } from '../time.js';
import { objectOf } from '../types.js';
import { ListValue, Opaque, Optional } from '../values.js';
import { once } from './costs.js';

const TYPE = objectOf('kubernetes.NamedFormat');
const F = TYPE.name;

class Format extends Opaque {
  readonly type = TYPE;
  constructor(
    readonly name: string,
    readonly check: (text: string) => string[],
  ) {
    super();
  }
}

const is =
  (test: (text: string) => boolean, message: string) =>
  (text: string): string[] =>
    test(text) ? [] : [message];

function isTime(text: string): boolean {
  try {
    parseTimestamp(text);
    return true;
  } catch {
    return false;
  }
}

/** A prefix may end in a dash: what is generated goes on. */
const asPrefix = (check: names.NameCheck) => (text: string) => check(names.maskTrailingDash(text));

const FORMATS: Record<string, (text: string) => string[]> = {
  dns1123Label: names.dns1123Label,
  dns1123Subdomain: names.dns1123Subdomain,
  dns1035Label: names.dns1035Label,
  qualifiedName: names.qualifiedName,
  dns1123LabelPrefix: asPrefix(names.dns1123Label),
  dns1123SubdomainPrefix: asPrefix(names.dns1123Subdomain),
  dns1035LabelPrefix: asPrefix(names.dns1035Label),
  labelValue: names.labelValue,
  uri: is((text) => text.startsWith('/') || URL.canParse(text), 'invalid URI for request'),
  uuid: is(
    (text) => /^[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}$/.test(text),
    'does not match the UUID format',
  ),
  byte: is((text) => /^[A-Za-z0-9+/]*={0,2}$/.test(text) && text.length % 4 === 0, 'invalid base64'),
  date: is((text) => /^\d{4}-\d\d-\d\d$/.test(text) && isTime(`${text}T00:00:00Z`), 'invalid date'),
  datetime: is(isTime, 'invalid datetime'),
};

const known = new Map(Object.entries(FORMATS).map(([name, check]) => [name, new Format(name, check)]));

export const formats: Overload[] = [
  ...[...known].map(([name, format]) => func(`format.${name}(): ${F}`, () => format)),
  func(`format.named(string): optional<${F}>`, (name: string) => new Optional(known.get(name))),
  method(
    F,
    'validate(string): optional<list<string>>',
    ({ check }: Format, text: string) => {
      const problems = check(text);
      return problems.length === 0 ? Optional.none : new Optional(new ListValue(problems));
    },
    ([, text]) => once([text!], null),
  ),
];
