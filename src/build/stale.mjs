// Whether a step of the build must run again: its inputs' paths, sizes and times against those of its last run.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const INPUTS = {
  install: ['package.json', 'package-lock.json'],
  native: ['binding.gyp', 'native', 'src/build/build.mjs'],
  schema: ['src/build', 'src/api/schema/facts.json', 'package-lock.json'],
  rpc: ['proto', 'src/build', 'package-lock.json'],
  openapi: [
    'src/api',
    'src/build/generate-schema.mjs',
    'src/build/generate-openapi.mjs',
    'package-lock.json',
  ],
  ui: ['src/ui', 'package-lock.json'],
  typescript: [
    'tsconfig.json',
    'src',
    'test',
    'bench',
    'examples/ch18-client/client.ts',
    'proto',
    'package-lock.json',
  ],
};

/** Every file under `path`, with size and modification time, into the hash. */
function add(hash, path) {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) return;
  if (stat.isDirectory()) for (const name of readdirSync(path).sort()) add(hash, join(path, name));
  else hash.update(`${path}\0${stat.size}\0${stat.mtimeMs}\n`);
}

function fingerprint(root, step) {
  const hash = createHash('sha256').update(process.version);
  for (const input of INPUTS[step]) add(hash, join(root, input));
  return hash.digest('hex');
}

const stamp = (root, step) =>
  step === 'install' ? join(root, 'node_modules/.keelson-install') : join(root, 'dist/.stamps', step);

export function isStale(root, step) {
  const file = stamp(root, step);
  return !existsSync(file) || readFileSync(file, 'utf8') !== fingerprint(root, step);
}

export function markFresh(root, step) {
  const file = stamp(root, step);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, fingerprint(root, step));
}
