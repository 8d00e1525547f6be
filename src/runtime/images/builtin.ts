/** Images made on the node itself, without any network: keelson.dev/demo and keelson.dev/busybox share one layer. */
import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { sha256 } from './digest.js';
import { hostPlatform } from './manifest.js';
import type { LocalImageStore } from './store.js';
import { byPath, type TarItem, writeTar } from './tar-writer.js';

export interface BuiltinOptions {
  /** Static binary of the demo server. */
  demoBinary: string;
  /** Static BusyBox. */
  busybox: string;
}

/** Names below it are never asked of a registry. */
export const builtinRegistry = 'keelson.dev';
export const demoTags = ['latest', 'blue', 'green', 'purple', '1', '2', '3'];
/** Changes when what is made of the same binaries changes. */
const layout = '2';
const searchPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Makes the images unless they are there and as new as the binaries. */
export async function ensureBuiltinImages(store: LocalImageStore, options: BuiltinOptions): Promise<void> {
  const [demo, busybox] = await Promise.all([stat(options.demoBinary), stat(options.busybox)]);
  const stamp = [layout, ...[demo, busybox].map((file) => `${file.size} ${file.mtimeMs} ${file.ino}`)].join(
    ' ',
  );
  const names = [
    ...demoTags.map((tag) => `${builtinRegistry}/demo:${tag}`),
    `${builtinRegistry}/busybox:latest`,
  ];
  store.makeBuiltin = () => ensureBuiltinImages(store, options);
  if (store.state.current().builtin === stamp && names.every((name) => store.find(name))) return;
  const tar = await builtinLayer(options);
  const diffId = sha256(tar);
  const layer = { name: 'built-in layer', open: async () => Readable.from([tar]) };
  const make = (name: string, config: object) =>
    store.install({
      name,
      config: imageConfig(diffId, config),
      tags: [name],
      digests: [],
      layers: [layer],
    });
  for (const tag of demoTags) await make(`${builtinRegistry}/demo:${tag}`, demoConfig(tag));
  await make(`${builtinRegistry}/busybox:latest`, { Cmd: ['sh'], Env: [searchPath] });
  // Images made of older binaries lose their names only: containers may still run from them (see `prune`).
  await store.state.update((state) => {
    state.builtin = stamp;
  });
}

/** Made anew at each start, and of no size of its own. */
export const isBuiltIn = ({ tags }: { tags: string[] }): boolean => {
  const own = [...demoTags.map((tag) => `demo:${tag}`), 'busybox:latest'].map(
    (name) => `${builtinRegistry}/${name}`,
  );
  return tags.some((tag) => own.includes(tag));
};

const demoConfig = (tag: string) => ({
  Cmd: ['/kuard'],
  User: '65534:65534',
  Env: [searchPath, `KEELSON_DEMO_VERSION=${tag}`],
  ExposedPorts: { '8080/tcp': {} },
});

function imageConfig(diffId: string, config: object): Buffer {
  return Buffer.from(
    JSON.stringify({
      created: '1970-01-01T00:00:00Z',
      ...hostPlatform,
      config: { WorkingDir: '/', Labels: { 'dev.keelson.builtin': 'true' }, ...config },
      rootfs: { type: 'layers', diff_ids: [diffId] },
    }),
  );
}

async function builtinLayer({ demoBinary, busybox }: BuiltinOptions): Promise<Buffer> {
  const [demoContent, busyboxContent, applets] = await Promise.all([
    readFile(demoBinary),
    readFile(busybox),
    promisify(execFile)(busybox, ['--list']),
  ]);
  const folder = (path: string, mode = 0o755): TarItem => ({ path, kind: 'folder', mode });
  const file = (path: string, content: string): TarItem => ({
    path,
    kind: 'file',
    mode: 0o644,
    content: Buffer.from(content),
  });
  const names = applets.stdout.split('\n').filter((name) => name && name !== 'busybox');
  const items: TarItem[] = [
    folder('bin'),
    folder('etc'),
    folder('home'),
    folder('root', 0o700),
    folder('tmp', 0o1777),
    folder('usr'),
    folder('usr/bin'),
    folder('var'),
    folder('var/tmp', 0o1777),
    { path: 'bin/busybox', kind: 'file', mode: 0o755, content: busyboxContent },
    ...names.sort().map((name): TarItem => ({ path: `bin/${name}`, kind: 'link', target: 'busybox' })),
    { path: 'usr/bin/env', kind: 'link', target: '../../bin/env' },
    { path: 'kuard', kind: 'file', mode: 0o755, content: demoContent },
    { path: 'keelson-demo', kind: 'link', target: 'kuard' },
    file('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n'),
    file('etc/group', 'root:x:0:\nnogroup:x:65534:\n'),
    file('etc/nsswitch.conf', 'hosts: files dns\n'),
  ];
  // As a layer is packed that was read back: the image is the same when it is saved.
  return writeTar(items.sort((a, b) => byPath(a.path, b.path)));
}
