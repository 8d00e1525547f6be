// Writes dist/generated/rpc/<name>.js and .d.ts for each proto/<name>.proto: the messages as static code (which
// starts faster than reflection: no parsing and no compilation at run time).
import { mkdirSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { main as pbjs } from 'protobufjs-cli/pbjs.js';
import { main as pbts } from 'protobufjs-cli/pbts.js';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const out = join(root, 'dist/generated/rpc');
mkdirSync(out, { recursive: true });
const without = ['verify', 'delimited', 'create', 'service', 'convert', 'typeurl'].map(
  (part) => `--no-${part}`,
);
for (const file of readdirSync(join(root, 'proto'))) {
  const name = basename(file, '.proto');
  const module = join(out, `${name}.js`);
  // Each file has a root of its own, so that two contracts may share a package name.
  await promisify(pbjs)([
    '-t',
    'static-module',
    '-w',
    'es6',
    '-r',
    name,
    ...without,
    '-o',
    module,
    join(root, 'proto', file),
  ]);
  await promisify(pbts)(['-o', join(out, `${name}.d.ts`), module]);
}
