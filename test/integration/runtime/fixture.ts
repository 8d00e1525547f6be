/** A runtime of its own in temporary folders, with an image made of busybox. */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { pino } from 'pino';
import { createRuntime, type RuntimeOptions } from '../../../src/runtime/index.js';
import type {
  ContainerConfig,
  ContainerStatus,
  Image,
  ImageStore,
  Runtime,
  SandboxConfig,
} from '../../../src/runtime/types.js';
import { assertNoLeaks, type Snapshot, snapshot } from '../../fixtures/leaks.js';

export const SHIM = join(process.cwd(), 'build/Release/keelson-shim');
const IMAGE_ID = 'sha256:test';
const APPLETS = [
  'sh',
  'cat',
  'echo',
  'sleep',
  'id',
  'env',
  'pwd',
  'grep',
  'ls',
  'mount',
  'umount',
  'unshare',
  'stat',
  'head',
  'stty',
  'dd',
  'touch',
  'rm',
  'true',
  'false',
  'tty',
  'kill',
  'hostname',
  'wc',
  'mknod',
  'ps',
  'yes',
  'readlink',
  'seq',
  'sync',
  'chroot',
  'date',
  'printf',
  'test',
  'df',
  'ip',
  'usleep',
  'tail',
  'chmod',
  'su',
  'mkdir',
  'md5sum',
];

/** Strict mocha hooks would hide a failed removal: tests end with `close()`. */
export interface Fixture {
  dir: string;
  runtime: Runtime;
  image: Image;
  /** Opens a second runtime over the same state, as a new agent does. */
  reopen(changes?: Partial<RuntimeOptions>): Promise<Runtime>;
  sandbox(changes?: Partial<SandboxConfig>): Promise<string>;
  config(sandboxId: string, argv: string[], changes?: ContainerChanges): ContainerConfig;
  /** Starts and waits for the end. */
  run(argv: string[], changes?: ContainerChanges & { sandboxId?: string }): Promise<Ended>;
  close(): Promise<void>;
}

export type ContainerChanges = Partial<Omit<ContainerConfig, 'security'>> & {
  security?: Partial<ContainerConfig['security']>;
};

export interface Ended {
  status: ContainerStatus;
  stdout: string;
  stderr: string;
}

export async function makeFixture(layers = 1, changes: Partial<RuntimeOptions> = {}): Promise<Fixture> {
  const dir = mkdtempSync('/tmp/keelson-test-');
  const cgroupRoot = `keelson-test-${randomBytes(4).toString('hex')}`;
  process.env.KEELSON_TEST_CGROUP = cgroupRoot;
  const filter = { containing: [dir, cgroupRoot] };
  const before: Snapshot = snapshot(filter);
  const image = makeImage(dir, layers);
  const options: RuntimeOptions = {
    cluster: 'test',
    node: 'node',
    stateDir: join(dir, 'run'),
    dataDir: join(dir, 'data'),
    cgroupRoot,
    images: { get: (id: string) => (id === image.id ? image : undefined) } as ImageStore,
    shimPath: SHIM,
    logLinkDir: join(dir, 'links'),
    logger: pino({ level: 'silent' }),
    ...changes,
  };
  let attempts = 0;
  const runtimes = [await createRuntime(options)];
  const current = () => runtimes.at(-1)!;
  const fixture: Fixture = {
    dir,
    image,
    get runtime() {
      return current();
    },
    async reopen(more = {}) {
      const runtime = await createRuntime({ ...options, ...more });
      runtimes.push(runtime);
      return runtime;
    },
    async sandbox(changes = {}) {
      const id = `pod-${randomBytes(6).toString('hex')}`;
      await current().createSandbox({ ...sandboxConfig(dir, id), ...changes });
      return id;
    },
    config: (sandboxId, argv, changes = {}) => containerConfig(sandboxId, argv, attempts++, changes),
    async run(argv, { sandboxId, ...changes } = {}) {
      const sandbox = sandboxId ?? (await this.sandbox());
      const config = this.config(sandbox, argv, changes);
      const ended = exitOf(current(), config.id);
      await current().startContainer(config);
      const status = await ended;
      return { status, ...readLog(status.logPath) };
    },
    async close() {
      for (const { id } of current().sandboxes()) await current().removeSandbox(id);
      for (const runtime of runtimes) await runtime.close();
      rmSync(dir, { recursive: true, force: true });
      await assertNoLeaks(before, filter);
    },
  };
  return fixture;
}

export function sandboxConfig(dir: string, id: string): SandboxConfig {
  return {
    id,
    name: 'web',
    namespace: 'default',
    hostname: 'web',
    cgroup: `burstable/pod${id}`,
    limits: {},
    network: 'pod',
    pid: 'container',
    ipc: 'pod',
    sysctls: {},
    logDirectory: join(dir, 'logs', id),
    labels: {},
  };
}

export function containerConfig(
  sandboxId: string,
  argv: string[],
  attempt: number,
  changes: ContainerChanges = {},
): ContainerConfig {
  return {
    id: randomBytes(32).toString('hex'),
    sandboxId,
    name: 'main',
    attempt,
    imageId: IMAGE_ID,
    argv,
    env: ['PATH=/bin'],
    workingDirectory: '/',
    mounts: [],
    limits: {},
    oomScoreAdj: 0,
    tty: false,
    stdin: false,
    stdinOnce: false,
    labels: {},
    ...changes,
    security: {
      uid: 0,
      gid: 0,
      supplementalGroups: [],
      privileged: false,
      noNewPrivileges: false,
      readOnlyRoot: false,
      addCapabilities: [],
      dropCapabilities: [],
      seccomp: 'default',
      ...changes.security,
    },
  };
}

/** The next exit of a container; ask before its start. */
export function exitOf(runtime: Runtime, id: string): Promise<ContainerStatus> {
  return new Promise((resolve) => {
    const listener = (status: ContainerStatus) => {
      if (status.id !== id) return;
      runtime.off('exit', listener);
      resolve(status);
    };
    runtime.on('exit', listener);
  });
}

/** Lines of a CRI log: time, stream, P or F, text. */
export function logLines(path: string): { time: string; stream: string; flag: string; text: string }[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const [time = '', stream = '', flag = '', ...text] = line.split(' ');
      return { time, stream, flag, text: text.join(' ') };
    });
}

export function readLog(path: string): { stdout: string; stderr: string } {
  const joined = (stream: string) =>
    logLines(path)
      .filter((line) => line.stream === stream)
      .map(({ text, flag }) => (flag === 'F' ? `${text}\n` : text))
      .join('');
  return { stdout: joined('stdout'), stderr: joined('stderr') };
}

export async function collect(stream: Readable): Promise<string> {
  let text = '';
  stream.on('data', (chunk) => {
    text += chunk;
  });
  await finished(stream);
  return text;
}

function makeImage(dir: string, layers: number): Image {
  const folders = Array.from({ length: layers }, (_, i) => join(dir, 'image', `layer-${i}`.padEnd(70, 'x')));
  const [base] = folders;
  for (const folder of folders) mkdirSync(folder, { recursive: true });
  for (const name of ['bin', 'etc', 'tmp', 'home/ann']) mkdirSync(join(base!, name), { recursive: true });
  chmodSync(join(base!, 'tmp'), 0o1777);
  copyFileSync(existsSync('/bin/busybox') ? '/bin/busybox' : '/usr/bin/busybox', join(base!, 'bin/busybox'));
  for (const name of APPLETS) symlinkSync('busybox', join(base!, 'bin', name));
  writeFileSync(
    join(base!, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n',
  );
  writeFileSync(join(base!, 'etc/not-executable'), 'text\n');
  symlinkSync('/etc', join(base!, 'outside'));
  folders.forEach((folder, i) => {
    writeFileSync(join(folder, `from-${i}`), `${i}`);
  });
  return {
    id: IMAGE_ID,
    tags: [],
    digests: [],
    size: 0,
    config: {
      entrypoint: [],
      command: [],
      env: [],
      workingDirectory: '',
      user: '',
      stopSignal: '',
      labels: {},
      exposedPorts: [],
    },
    layers: folders,
  };
}
