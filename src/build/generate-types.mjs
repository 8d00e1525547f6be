// Writes dist/generated/types.d.ts: one TypeScript interface for each type of the v1.36 API, from the
// table of facts. Names are the Go names; where two groups use one name, the group that is not core (or
// the older autoscaling) carries its group and version: `EventsV1Event`, `AutoscalingV2MetricSpec`.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';

const facts = JSON.parse(readFileSync(new URL('../api/schema/facts.json', import.meta.url), 'utf8'));
const plain = {
  string: 'string',
  int32: 'number',
  int64: 'number',
  boolean: 'boolean',
  double: 'number',
  bytes: 'string',
  Quantity: 'string',
  IntOrString: 'number | string',
  'runtime.RawExtension': 'any',
  'time.Time': 'string',
  'time.Duration': 'string',
  uint8: 'number',
  'meta/v1.Time': 'string',
  'meta/v1.MicroTime': 'string',
  'meta/v1.Duration': 'string',
  'meta/v1.FieldsV1': 'Record<string, any>',
  'apiextensions/v1.JSONSchemaPropsOrArray': 'JSONSchemaProps | JSONSchemaProps[]',
  'apiextensions/v1.JSONSchemaPropsOrBool': 'JSONSchemaProps | boolean',
  'apiextensions/v1.JSONSchemaPropsOrStringArray': 'JSONSchemaProps | string[]',
  'resource.Quantity': 'string',
  'intstr.IntOrString': 'number | string',
};

const first = new Map();
const shortName = (full) => full.slice(full.indexOf('.') + 1);
const preferred = ['core/v1', 'meta/v1'];
for (const full of Object.keys(facts.types).sort((a, b) => rank(a) - rank(b)))
  if (!first.has(shortName(full))) first.set(shortName(full), full);
function rank(full) {
  const i = preferred.indexOf(full.slice(0, full.indexOf('.')));
  return i < 0 ? preferred.length : i;
}

/** The TypeScript name of a type such as `core/v1.Pod`. */
function tsName(full) {
  const short = shortName(full);
  if (first.get(short) === full) return short;
  const [group, version] = full.slice(0, full.indexOf('.')).split('/');
  return group[0].toUpperCase() + group.slice(1) + version.toUpperCase() + short;
}

function tsType(type) {
  const list = /^list<(.*)>$/.exec(type);
  if (list) return `${wrap(tsType(list[1]))}[]`;
  const map = /^map<(.*)>$/.exec(type);
  if (map) return `Record<string, ${tsType(map[1])}>`;
  if (plain[type]) return plain[type];
  if (facts.types[type]) return tsName(type);
  return 'any';
}
const wrap = (t) => (/[ |]/.test(t) ? `(${t})` : t);

const out = ['// Generated from src/api/schema/facts.json by src/build/generate-types.mjs.', ''];
for (const [full, type] of Object.entries(facts.types)) {
  if (plain[full]) continue;
  const name = tsName(full);
  if (type.alias) {
    const closed = type.enum ? type.enum.map((v) => JSON.stringify(v)).join(' | ') : tsType(type.alias);
    out.push(`export type ${name} = ${type.enum ? `${closed} | (string & {})` : closed};`, '');
    continue;
  }
  const isKind = facts.kinds[full] !== undefined;
  const lines = [];
  const bases = [];
  for (const base of type.inline ?? []) {
    if (base.type !== 'meta/v1.TypeMeta') bases.push(tsType(base.type));
    else
      lines.push(
        isKind ? '  apiVersion: string;\n  kind: string;' : '  apiVersion?: string;\n  kind?: string;',
      );
  }
  for (const [field, fact] of Object.entries(type.fields ?? {})) {
    const required =
      fact.required ||
      (isKind && (field === 'metadata' || field === 'spec')) ||
      (full === 'meta/v1.ObjectMeta' && field === 'name');
    lines.push(
      `  ${/^[\w]+$/.test(field) ? field : JSON.stringify(field)}${required ? '' : '?'}: ${tsType(fact.type)};`,
    );
  }
  const extend = bases.filter((b) => b !== 'any' && b !== 'string').join(', ');
  out.push(`export interface ${name}${extend ? ` extends ${extend}` : ''} {`, ...lines, '}', '');
}
const dir = new URL('../../dist/generated/', import.meta.url);
mkdirSync(dir, { recursive: true });
writeFileSync(new URL('types.d.ts', dir), `${out.join('\n')}\n`);
