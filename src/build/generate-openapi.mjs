// Writes dist/generated/openapi/: the OpenAPI v2 and v3 documents, each also compressed, and index.json with
// their hashes. Runs after the TypeScript compilation, whose output knows the schema and the resources.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const dist = fileURLToPath(new URL('../../dist/', import.meta.url));
const { buildOpenApi } = await import(join(dist, 'src/api/schema/openapi/build.js'));
const { resources } = await import(join(dist, 'src/api/resources/index.js'));
const { KUBERNETES_VERSION } = await import(join(dist, 'src/api/machinery/version.js'));
const docs = JSON.parse(readFileSync(join(dist, 'generated/descriptions.json'), 'utf8'));

const out = join(dist, 'generated/openapi');
rmSync(out, { recursive: true, force: true });
const index = { files: {}, v3: {} };
for (const [name, { contentType, content }] of Object.entries(
  buildOpenApi(resources, docs, KUBERNETES_VERSION),
)) {
  const file = join(out, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  writeFileSync(`${file}.gz`, gzipSync(content, { level: 9 }));
  const hash = createHash('sha512').update(content).digest('hex').toUpperCase();
  index.files[name] = { contentType, hash, bytes: content.length };
  if (name.startsWith('v3/') && name.endsWith('.json')) index.v3[name.slice(3, -5)] = hash;
}
writeFileSync(join(out, 'index.json'), JSON.stringify(index));
