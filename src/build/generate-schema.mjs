// Writes dist/generated/schema.tsv: the table of facts with one type a line (`name<TAB>JSON`), so that the
// server parses only the types that it meets; and descriptions.json: the documentation of types and fields,
// from the models of @kubernetes/client-node, for the OpenAPI documents; that of fields that hold another type,
// which those leave out, from kubernetes-models.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';

const facts = JSON.parse(readFileSync(new URL('../api/schema/facts.json', import.meta.url), 'utf8'));
const out = new URL('../../dist/generated/', import.meta.url);
mkdirSync(out, { recursive: true });

/** What decoding, patches and protobuf need of a field. */
function runtimeFacts(type) {
  if (!type.fields) return type;
  const fields = {};
  for (const [name, { validation, ...rest }] of Object.entries(type.fields))
    fields[name] = { ...rest, type: rest.type.replaceAll('metav1.', 'meta/v1.') };
  const inline = type.inline?.map((i) => ({ ...i, type: i.type.replaceAll('metav1.', 'meta/v1.') }));
  return { ...type, fields, ...(inline ? { inline } : {}) };
}
const lines = Object.entries(facts.types).map(
  ([name, type]) => `${name}\t${JSON.stringify(runtimeFacts(type))}\n`,
);
writeFileSync(new URL('schema.tsv', out), lines.join(''));

/** The models of one type in every version share a name scheme: `V1Pod`, or `CoreV1Event` where names clash. */
const models = new URL('../../node_modules/@kubernetes/client-node/dist/gen/models/', import.meta.url);
const available = new Set(
  readdirSync(models)
    .filter((name) => name.endsWith('.d.ts'))
    .map((name) => name.slice(0, -5)),
);

const capital = (word) => word[0].toUpperCase() + word.slice(1);

/** The model of a type such as `core/v1.Pod`, or undefined. */
function modelOf(full) {
  const [, group, version, name] = /^([^/]+)\/([^.]+)\.(.*)$/.exec(full);
  const short = capital(version) + name;
  const long = capital(group) + short;
  return available.has(long) ? long : available.has(short) ? short : undefined;
}

/** Undoes the escapes that the model generator put into doc comments. */
const plain = (text) =>
  text
    .replace(/\\(["'`\\])/g, '$1')
    .replaceAll('*_/', '*/')
    .trim();

const modules = new URL('../../node_modules/', import.meta.url);
/** `core` and `v1` to the folder of their interfaces. */
const folders = new Map([
  ['core', 'kubernetes-models'],
  ['meta', '@kubernetes-models/apimachinery/apis/meta'],
  ...readdirSync(new URL('kubernetes-models/', modules)).map((name) => [
    name.split('.')[0],
    `kubernetes-models/${name}`,
  ]),
]);

/** The documentation of the fields of a type such as `core/v1.Pod`, by name. */
function interfaceFields(full) {
  const [, group, version, name] = /^([^/]+)\/([^.]+)\.(.*)$/.exec(full);
  const file = new URL(`${folders.get(group)}/${version}/${name}.d.ts`, modules);
  if (!existsSync(file)) return {};
  const fields = {};
  const [text] = readFileSync(file, 'utf8').split('export declare class');
  for (const [, doc, field] of text.matchAll(/\/\*\*\n((?: {5}\*.*\n)+?) {5}\*\/\n {4}"([^"]+)"\??:/g))
    fields[field] = doc.replace(/^ {5}\* ?/gm, '').trim();
  return fields;
}

const types = {};
for (const full of Object.keys(facts.types)) {
  const model = modelOf(full);
  if (!model) continue;
  const text = readFileSync(new URL(`${model}.d.ts`, models), 'utf8');
  const type = /\/\*\*\n\* ((?:(?!\*\/)[\s\S])*?)\n\*\/\nexport declare class/.exec(text);
  const fields = interfaceFields(full);
  for (const [, doc, field] of text.matchAll(
    /\/\*\*\n {4}\* ((?:(?!\*\/)[\s\S])*?)\n {4}\*\/\n {4}'([^']+)'\??:/g,
  ))
    fields[field] = plain(doc);
  types[full] = { description: type ? plain(type[1]) : '', fields };
}

/** The parameters of requests are described at each method of the API classes; the core group has them all. */
const api = readFileSync(new URL('../apis/CoreV1Api.d.ts', models), 'utf8');
const parameters = {};
for (const [, name, doc] of api.matchAll(/\* @param (\w+) (.+)/g))
  parameters[name.replace(/^_/, '')] ??= plain(unescapeHtml(doc));

/** The API classes escape HTML in their comments: `\\&#39;`, `&#x3D;`, `\\&quot;`. */
function unescapeHtml(text) {
  return text.replace(/\\?&(?:#x([\da-fA-F]+)|#(\d+)|(quot|amp|lt|gt));/g, (_, hex, decimal, name) =>
    name
      ? { quot: '"', amp: '&', lt: '<', gt: '>' }[name]
      : String.fromCharCode(hex ? Number.parseInt(hex, 16) : Number(decimal)),
  );
}

writeFileSync(new URL('descriptions.json', out), JSON.stringify({ types, parameters }));
