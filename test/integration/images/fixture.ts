/** Image stores in temporary folders, images made with umoci, and a registry of Debian's docker-registry. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ImageStoreOptions,
  type LocalImageStore,
  openImageStore,
} from '../../../src/runtime/images/index.js';
import { native } from '../../../src/runtime/native.js';
import type { Image, ImageError } from '../../../src/runtime/types.js';
import { register, registerProcess } from '../../fixtures/registry.js';
import { run } from '../../fixtures/tools.js';

export function temporaryFolder(name: string): string {
  const dir = mkdtempSync(`/tmp/keelson-test-${name}-`);
  register({ kind: 'dir', path: dir });
  return dir;
}

export async function openStore(
  dir: string,
  options: Partial<ImageStoreOptions> = {},
): Promise<LocalImageStore> {
  return openImageStore({ dir, ...options });
}

export async function sh(command: string, ...argv: string[]): Promise<string> {
  const { stdout, stderr, code } = await run(command, argv);
  assert.equal(code, 0, `${command} ${argv.join(' ')}: ${stderr}`);
  return stdout;
}

/**
 * An OCI layout `<dir>/layout:v1` of three layers: files; one of them hidden; a folder made opaque.
 * It has a setuid file, a hard link, a symlink that leads out, a sparse file and a folder open to all.
 */
export async function makeLayout(dir: string): Promise<string> {
  const layout = join(dir, 'layout');
  const image = `${layout}:v1`;
  const base = join(dir, 'base');
  mkdirSync(join(base, 'etc'), { recursive: true });
  for (const name of ['gone', 'kept']) writeFileSync(join(base, 'etc', name), `${name}\n`);
  await sh(
    'sh',
    '-ec',
    `cd ${base}; mkdir -p opt/old bin; mkdir -m 1777 tmp; echo old > opt/old/file; cp /bin/busybox bin/busybox
     ln bin/busybox bin/sh; chmod 4755 bin/busybox; ln -s ../../../../../../etc/passwd etc/out
     chown 1234:5678 etc/kept; truncate -s 5M etc/sparse; echo end >> etc/sparse`,
  );
  const fresh = join(dir, 'fresh');
  mkdirSync(fresh);
  writeFileSync(join(fresh, 'new'), 'new\n');
  await sh('umoci', 'init', '--layout', layout);
  await sh('umoci', 'new', '--image', image);
  await sh('umoci', 'insert', '--image', image, base, '/');
  await sh('umoci', 'insert', '--image', image, '--whiteout', '/etc/gone');
  await sh('umoci', 'insert', '--image', image, '--opaque', fresh, '/opt');
  await sh(
    'umoci',
    'config',
    ...['--image', image, '--config.cmd', 'sh', '--config.cmd', '-c', '--config.entrypoint', '/bin/busybox'],
    ...['--config.env', 'COLOR=blue', '--config.user', '1000:1000', '--config.workingdir', '/opt'],
    ...['--config.exposedports', '8080/tcp', '--config.label', 'a=b'],
  );
  return layout;
}

/** Looks at an image's layers through a real overlay mount, with the shell of this machine. */
export async function lookInto(image: Image, script: string): Promise<string> {
  const root = temporaryFolder('overlay');
  try {
    const lower = [...image.layers].reverse();
    if (lower.length === 1) lower.push(mkdirAt(join(root, 'empty')));
    const target = mkdirAt(join(root, 'merged'));
    await native.mount('overlay', target, 'overlay', 0, `lowerdir=${lower.join(':')}`);
    try {
      return await sh('sh', '-ec', `cd ${target}; ${script}`);
    } finally {
      await native.umount(target, 0);
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function mkdirAt(path: string): string {
  mkdirSync(path);
  return path;
}

/** Asserts that a promise rejects with this code and a message with these words. */
export async function rejectsWith(
  work: Promise<unknown>,
  code: ImageError['code'],
  words: RegExp,
): Promise<void> {
  await assert.rejects(work, (error: ImageError) => {
    assert.match(error.message, words);
    assert.equal(error.code, code);
    return true;
  });
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export interface TestRegistry {
  host: string;
  /** The file of a blob. */
  blob(digest: string): string;
  stop(): Promise<void>;
}

/** `htpasswd`: lines of users that may pull; everybody when absent. */
export async function startRegistry(dir: string, htpasswd?: string): Promise<TestRegistry> {
  const port = await freePort();
  const folder = mkdtempSync(join(dir, 'registry-'));
  const auth = htpasswd ? `auth: { htpasswd: { realm: test, path: ${folder}/htpasswd } }\n` : '';
  if (htpasswd) writeFileSync(join(folder, 'htpasswd'), htpasswd);
  writeFileSync(
    join(folder, 'config.yml'),
    `version: 0.1
log: { level: error }
storage: { filesystem: { rootdirectory: ${folder}/data } }
http: { addr: "127.0.0.1:${port}" }
${auth}`,
  );
  const child = spawn('docker-registry', ['serve', join(folder, 'config.yml')], {
    stdio: 'ignore',
    env: { PATH: process.env['PATH'], OTEL_TRACES_EXPORTER: 'none' },
  });
  registerProcess(child.pid!);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const host = `127.0.0.1:${port}`;
  for (let i = 0; i < 200; i++) {
    if (await fetch(`http://${host}/v2/`).catch(() => undefined)) break;
    await sleep(25);
  }
  return {
    host,
    blob(digest) {
      const hex = digest.slice('sha256:'.length);
      return join(folder, 'data/docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data');
    },
    async stop() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
