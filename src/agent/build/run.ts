/** RUN: a container over the layers so far, whose writes become the next layer. */
import { randomBytes } from 'node:crypto';
import { rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Pod } from '#types';
import { changes } from '../../runtime/images/changes.js';
import type { TarItem } from '../../runtime/images/tar-writer.js';
import { UnionView } from '../../runtime/images/union.js';
import type { ContainerStatus, Image, Mount, Runtime } from '../../runtime/types.js';
import { readLog } from '../logs/reader.js';
import { containerUser } from '../pods/user.js';

const MOUNTED = ['/etc/resolv.conf', '/etc/hosts'];
const STUBS = new Set(['/dev', '/proc', '/sys', '/sys/fs', '/sys/fs/cgroup', '/etc/hostname', ...MOUNTED]);
const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface RunRequest {
  image: Image;
  argv: string[];
  /** `NAME=value`; later ones win. */
  env: string[];
  /** The host's, or none at all. */
  network: 'host' | 'none';
  mounts: Mount[];
  signal: AbortSignal;
  output(text: Buffer): void;
  /** Takes the entries of the layer while they are there. */
  take(items: AsyncIterable<TarItem>): Promise<void>;
}

/** @throws Error when the command can't be started or fails. */
export async function runStep(runtime: Runtime, logs: string, request: RunRequest): Promise<void> {
  const { image, signal } = request;
  const id = `build-${randomBytes(8).toString('hex')}`;
  const containerId = randomBytes(32).toString('hex');
  const logDirectory = join(logs, id);
  const user = await containerUser({ metadata: {}, spec: {} } as Pod, { name: 'build' }, image);
  signal.throwIfAborted();
  await runtime.createSandbox({
    ...{ id, name: 'build', namespace: '', hostname: 'build', cgroup: `besteffort/pod${id}`, limits: {} },
    ...{ network: request.network === 'host' ? 'host' : 'pod', pid: 'container', ipc: 'pod', sysctls: {} },
    ...{ logDirectory, labels: {} },
  });
  const stop = () => void runtime.stopContainer(containerId, 'SIGKILL', 0).catch(() => {});
  try {
    const ended = exitOf(runtime, id, containerId);
    signal.addEventListener('abort', stop);
    const { logPath } = await runtime.startContainer({
      ...{ id: containerId, sandboxId: id, name: 'build', attempt: 0, imageId: image.id, argv: request.argv },
      env: merged([PATH, `HOME=${user.home}`, ...image.config.env, ...request.env]),
      workingDirectory: image.config.workingDirectory || '/',
      mounts: [
        ...MOUNTED.map((path): Mount => ({ source: path, target: path, readOnly: true })),
        ...request.mounts,
      ],
      ...{ limits: {}, oomScoreAdj: 0, tty: false, stdin: false, stdinOnce: false, labels: {} },
      security: {
        ...{ uid: user.uid, gid: user.gid, supplementalGroups: user.supplementalGroups },
        ...{ privileged: false, noNewPrivileges: false, readOnlyRoot: false },
        ...{ addCapabilities: [], dropCapabilities: [], seccomp: 'default' },
      },
    });
    if (signal.aborted) stop();
    const status = await follow(logPath, ended, request);
    signal.throwIfAborted();
    if (status.exitCode !== 0)
      throw new Error(
        `the command ${JSON.stringify(request.argv.join(' '))} ended with exit code ${status.exitCode}${status.oomKilled ? ' (out of memory)' : ''}`,
      );
    const below = new UnionView(image.layers);
    const stubs = await stubsOf(below, request.mounts);
    await request.take(changes(runtime.writableLayer(containerId), below, stubs));
  } finally {
    signal.removeEventListener('abort', stop);
    await runtime.removeSandbox(id);
    await rm(logDirectory, { recursive: true, force: true });
    // Another build may have its own there.
    await rmdir(logs).catch(() => {});
  }
}

/** Paths that the mounts may have made in the layer. */
async function stubsOf(below: UnionView, mounts: Mount[]): Promise<Set<string>> {
  const stubs = new Set(STUBS);
  for (const { target } of mounts) {
    const path = (await below.resolve(target)).replace(/(.)\/$/, '$1');
    for (let at = path; at !== '/'; at = dirname(at)) stubs.add(at);
  }
  return stubs;
}

/** The last of a name wins. */
function merged(env: string[]): string[] {
  const byName = new Map(env.map((entry) => [entry.slice(0, entry.indexOf('=')), entry]));
  return [...byName.values()];
}

/** Resolves also when the container's sandbox is lost. */
function exitOf(runtime: Runtime, sandboxId: string, id: string): Promise<ContainerStatus> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      runtime.off('exit', onExit);
      runtime.off('gone', onGone);
    };
    const onExit = (status: ContainerStatus) => {
      if (status.id !== id) return;
      settle();
      resolve(status);
    };
    const onGone = (gone: string) => {
      if (gone !== sandboxId) return;
      settle();
      reject(new Error('the container of the build was killed'));
    };
    runtime.on('exit', onExit);
    runtime.on('gone', onGone);
  });
}

/** Passes on what it writes until it has ended. */
async function follow(
  logPath: string,
  ended: Promise<ContainerStatus>,
  { output, signal }: RunRequest,
): Promise<ContainerStatus> {
  let over = false;
  const listeners = new Set<() => void>();
  const settled = ended.finally(() => {
    over = true;
    for (const listener of listeners) listener();
  });
  settled.catch(() => {});
  const source = {
    isOver: () => over,
    onOver(listener: () => void) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  for await (const text of readLog(logPath, { follow: true, timestamps: false }, source, signal))
    output(text);
  return settled;
}
