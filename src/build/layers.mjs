// The import rules of docs/architecture.md: a folder imports only from itself and from those it is given here.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const LAYERS = {
  ui: [],
  api: [],
  rpc: ['api'],
  client: ['api', 'rpc'],
  store: ['api'],
  auth: ['api', 'client', 'store'],
  streams: ['api'],
  runtime: [],
  network: ['api', 'client', 'runtime'],
  hub: ['api', 'client', 'auth', 'rpc'],
  apiserver: ['api', 'client', 'store', 'auth', 'hub', 'streams'],
  scheduler: ['api', 'client'],
  controllers: ['api', 'client'],
  agent: ['api', 'client', 'rpc', 'runtime', 'network', 'auth', 'streams'],
  server: ['api', 'rpc', 'client', 'store', 'auth', 'hub', 'apiserver', 'scheduler', 'controllers'],
  'index.ts': ['api', 'client', 'server', 'agent', 'auth'],
  cli: ['api', 'client', 'rpc', 'auth', 'runtime', 'network', 'agent', 'server', 'index.ts'],
};

/** Every forbidden import below `src`, as one line of text each. */
export function forbiddenImports(root) {
  const src = join(root, 'src');
  const found = [];
  for (const file of readdirSync(src, { recursive: true })) {
    if (!/\.tsx?$/.test(file)) continue;
    const layer = file.split('/')[0];
    const text = readFileSync(join(src, file), 'utf8');
    for (const [, target] of text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)) {
      const to = relative(src, join(dirname(join(src, file)), target))
        .split('/')[0]
        .replace(/\.js$/, '.ts');
      if (to !== layer && !LAYERS[layer]?.includes(to))
        found.push(`src/${file}: may not import from ${to} (${target})`);
    }
  }
  return found;
}
