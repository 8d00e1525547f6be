// Builds what is stale: generated types and schema, gRPC code, the native parts, TypeScript.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isStale, markFresh } from './stale.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const bin = (name) => join(root, 'node_modules/.bin', name);

/** Runs a tool; its output is shown only when it fails. */
function run(what, command, argv, env = {}) {
  const result = spawnSync(command, argv, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, ...env },
    maxBuffer: 64 << 20,
  });
  if (result.status === 0) return;
  process.stderr.write(
    `${result.stdout ?? ''}${result.stderr ?? ''}${result.error ?? ''}\nkeelson: ${what} failed (above).\n`,
  );
  process.exit(1);
}

function step(name, label, work) {
  if (!isStale(root, name)) return;
  process.stdout.write(`${label}\n`);
  work();
  markFresh(root, name);
}

/** node-gyp downloads headers unless node's own prefix has them. */
function nodedir() {
  const prefix = dirname(dirname(process.execPath));
  return existsSync(join(prefix, 'include/node/node_api.h')) ? { npm_config_nodedir: prefix } : {};
}

step('schema', 'Generating the API schema', () => {
  for (const script of ['generate-types.mjs', 'generate-schema.mjs'])
    if (existsSync(join(root, 'src/build', script)))
      run(script, process.execPath, [join('src/build', script)]);
});
step('rpc', 'Generating gRPC code', () => {
  if (existsSync(join(root, 'src/build/generate-rpc.mjs')))
    run('generate-rpc.mjs', process.execPath, ['src/build/generate-rpc.mjs']);
});
step('native', 'Building the native parts', () => {
  run('the native build', bin('node-gyp'), ['configure', 'build', '-j', '2'], nodedir());
});
step('typescript', 'Compiling TypeScript', () => {
  run('the TypeScript compilation', bin('tsc'), []);
  const main = join(root, JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).bin.keelson);
  if (existsSync(main)) chmodSync(main, 0o755);
});
step('ui', 'Building the dashboard', () => {
  run('the build of the dashboard', bin('vite'), ['build', '--config', 'src/ui/vite.config.mjs']);
});
step('openapi', 'Generating the OpenAPI documents', () => {
  run('generate-openapi.mjs', process.execPath, ['src/build/generate-openapi.mjs']);
});
