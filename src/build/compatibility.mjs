// Writes docs/compatibility.md from the registry of resources: every kind with its verbs, and where it differs from
// upstream. `npm run docs` writes it; `--check` only tells whether it is up to date.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DIFFERENCES, NOT_SERVED } from './differences.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const dist = join(root, 'dist/');
export const FILE = join(root, 'docs/compatibility.md');

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const ALL = 'all';

const byName = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

function verbsOf({ verbs }) {
  const sorted = [...verbs].sort();
  return VERBS.every((verb) => sorted.includes(verb)) ? ALL : sorted.join(', ');
}

function row(resource) {
  const { kind, plural, shortNames, namespaced, subresources, apiVersion } = resource;
  const names = [plural, ...shortNames].join(', ');
  const subs = subresources.map(({ name, verbs }) => `${name} (${[...verbs].sort().join(', ')})`).join('; ');
  const difference = DIFFERENCES[`${apiVersion} ${kind}`] ?? '';
  return `| ${kind} | ${names} | ${namespaced ? 'namespace' : 'cluster'} | ${verbsOf(resource)} | ${subs} | ${difference} |`;
}

/** The text of the document. */
export async function compatibility() {
  const { resources } = await import(join(dist, 'src/api/resources/index.js'));
  const { reviews } = await import(join(dist, 'src/apiserver/reviews/index.js'));
  const { virtualResources } = await import(join(dist, 'src/apiserver/virtual/index.js'));
  const served = [...resources, ...reviews, ...virtualResources];
  const names = new Set(served.map(({ apiVersion, kind }) => `${apiVersion} ${kind}`));
  for (const name of Object.keys(DIFFERENCES))
    if (!names.has(name)) throw new Error(`src/build/differences.mjs tells of ${name}, which is not served`);
  for (const name of Object.keys(NOT_SERVED))
    if (names.has(name))
      throw new Error(`src/build/differences.mjs calls ${name} not served, which is served`);
  const versions = [...new Set(served.map(({ apiVersion }) => apiVersion))].sort(
    (a, b) => a.includes('/') - b.includes('/') || byName(a, b),
  );
  const sections = versions.map((version) => {
    const rows = served
      .filter(({ apiVersion }) => apiVersion === version)
      .sort((a, b) => byName(a.kind, b.kind))
      .map(row);
    return `## ${version}

| Kind | Names | Scope | Verbs | Subresources | Differs from Kubernetes v1.36 |
| --- | --- | --- | --- | --- | --- |
${rows.join('\n')}
`;
  });
  // Kinds that are stored have a list type.
  const { typeFact, typeNames } = await import(join(dist, 'src/api/schema/facts.js'));
  const { typeNameParts } = await import(join(dist, 'src/api/schema/groups.js'));
  const known = typeNames()
    .filter(
      (name) =>
        /\.\w+List$/.test(name) && typeFact(name).fields?.items && !/^(meta|apidiscovery)\//.test(name),
    )
    .map((name) => {
      const { group, version, kind } = typeNameParts(name.slice(0, -'List'.length));
      return `${group === '' ? version : `${group}/${version}`} ${kind}`;
    })
    .filter((name) => !names.has(name));
  const missing = Object.entries({
    ...Object.fromEntries(known.map((name) => [name, 'Not yet.'])),
    ...NOT_SERVED,
  })
    .sort(([a], [b]) => byName(a, b))
    .map(([name, reason]) => `| ${name} | ${reason} |`);
  return `# Compatibility

<!-- Written by \`npm run docs\` from the registry of resources; do not edit. -->

Which kinds of the Kubernetes v1.36 API are served, with which verbs, and what differs. \`${ALL}\` are ${VERBS.join(', ')}.
Defaults, validation, printed columns and behaviour are meant to be upstream's; the last column tells where they are known not
to be.

${sections.join('\n')}
## Not served

| Kind | Reason |
| --- | --- |
${missing.join('\n')}
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = await compatibility();
  if (!process.argv.includes('--check')) writeFileSync(FILE, text);
  else if (readFileSync(FILE, 'utf8') !== text) {
    process.stderr.write('docs/compatibility.md is not up to date: npm run docs writes it\n');
    process.exit(1);
  }
}
