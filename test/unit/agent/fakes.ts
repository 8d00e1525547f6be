/** A node without a kernel: runtime, images and network that only keep notes. */
import { EventEmitter, once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Pod, PodStatus } from '#types';
import { NodeObjects } from '../../../src/agent/hub/objects.js';
import { ImagePuller } from '../../../src/agent/images/image-puller.js';
import { PodManager } from '../../../src/agent/pods/manager.js';
import { UserRanges } from '../../../src/agent/pods/user-namespaces.js';
import type { WorkerDeps } from '../../../src/agent/pods/worker-deps.js';
import type { KubeObject } from '../../../src/api/machinery/types.js';
import {
  type ContainerConfig,
  type ContainerStatus,
  type Image,
  ImageError,
  type SandboxConfig,
  type SandboxStatus,
} from '../../../src/runtime/types.js';
import { FakeClock } from '../../fixtures/fake-clock.js';

/** A node without devices. */
const NO_DEVICES = {
  admit: async () => {},
  prepareClaims: async () => {},
  unprepareClaims: async () => {},
  holdsClaims: () => false,
  prepare: async () => ({}),
  health: () => [],
  release() {},
  retain() {},
};

export class FakeRuntime extends EventEmitter {
  readonly all = new Map<string, SandboxStatus>();
  /** What was asked, in order: `start a/0`, `stop a SIGTERM 30000` … */
  readonly calls: string[] = [];
  readonly configs: ContainerConfig[] = [];
  /** Makes the next start fail. */
  failStart: Error | undefined;
  /** Containers that end when they are told to. */
  obedient = true;

  constructor(private readonly clock: FakeClock) {
    super();
  }

  async recover(): Promise<SandboxStatus[]> {
    return this.sandboxes();
  }

  async createSandbox({ id, labels }: SandboxConfig): Promise<SandboxStatus> {
    this.calls.push('createSandbox');
    const sandbox = {
      id,
      alive: true,
      pid: 1,
      createdAt: this.clock.now(),
      netns: '/ns',
      labels,
      containers: [],
    };
    this.all.set(id, sandbox);
    return sandbox;
  }

  async removeSandbox(id: string): Promise<void> {
    this.calls.push('removeSandbox');
    this.all.delete(id);
  }

  sandboxes = (): SandboxStatus[] => [...this.all.values()];
  sandbox = (id: string): SandboxStatus | undefined => this.all.get(id);

  async startContainer(config: ContainerConfig): Promise<ContainerStatus> {
    this.calls.push(`start ${config.name}/${config.attempt}`);
    const failure = this.failStart;
    this.failStart = undefined;
    if (failure) throw failure;
    this.configs.push(config);
    const { id, sandboxId, name, attempt, imageId, labels } = config;
    const now = this.clock.now();
    const status: ContainerStatus = {
      ...{
        id,
        sandboxId,
        name,
        attempt,
        imageId,
        labels,
        state: 'running',
        pid: 2,
        createdAt: now,
        startedAt: now,
      },
      ...{ finishedAt: 0, exitCode: 0, signal: 0, oomKilled: false, logPath: '' },
    };
    this.all.get(sandboxId)!.containers.push(status);
    return status;
  }

  async stopContainer(id: string, signal: string, graceMs: number): Promise<ContainerStatus> {
    const status = this.find(id);
    this.calls.push(`stop ${status.name} ${signal} ${graceMs}`);
    if (this.obedient) this.end(status.name, 143);
    while (this.find(id).state === 'running') await once(this, 'exit');
    return this.find(id);
  }

  async removeContainer(id: string): Promise<void> {
    for (const sandbox of this.all.values())
      sandbox.containers = sandbox.containers.filter((c) => c.id !== id);
  }

  /** The newest run of the container ends. */
  end(name: string, exitCode: number): void {
    for (const sandbox of this.all.values()) {
      const i = sandbox.containers.findLastIndex((c) => c.name === name && c.state === 'running');
      if (i < 0) continue;
      const status = {
        ...sandbox.containers[i]!,
        state: 'exited' as const,
        exitCode,
        finishedAt: this.clock.now(),
      };
      sandbox.containers[i] = status;
      this.emit('exit', status);
      return;
    }
  }

  limitParent(): void {}
  parentStats(): Promise<never> {
    return Promise.reject(new Error('there is none'));
  }

  find(id: string): ContainerStatus {
    return this.sandboxes()
      .flatMap((s) => s.containers)
      .find((c) => c.id === id)!;
  }
}

const config = { entrypoint: [], command: ['run'], env: [], workingDirectory: '', user: '', stopSignal: '' };
const image: Image = {
  ...{ id: 'sha256:1', tags: ['demo:1'], digests: [], size: 1, layers: [] },
  config: { ...config, labels: {}, exposedPorts: [] },
};

export interface FakeNode {
  clock: FakeClock;
  runtime: FakeRuntime;
  objects: NodeObjects;
  manager: PodManager;
  /** `reason: message`. */
  events: string[];
  statuses: PodStatus[];
  /** Names of pods that were deleted for good. */
  confirmed: string[];
  /** What telling the last status takes. */
  statusSent: (() => Promise<void>) | undefined;
  /** Pulls fail while this is set. */
  registryDown: boolean;
  /** The hub tells of an object, or that it is gone. */
  tell(resource: string, key: string, object?: KubeObject): void;
  /** Another agent on the same machine, after this one was killed. */
  restart(): Promise<FakeNode>;
  close(): Promise<void>;
}

const PULLING = {
  nodeCredentials: async () => [],
  records: {
    mayUse: async () => true,
    during: (_name: string, pull: () => unknown) => pull(),
    note: async () => {},
  },
  parallel: 1,
};

export async function fakeNode(from?: {
  dir: string;
  runtime: FakeRuntime;
  clock: FakeClock;
}): Promise<FakeNode> {
  const dir = from?.dir ?? (await mkdtemp(join(tmpdir(), 'keelson-test-pods-')));
  const clock = from?.clock ?? new FakeClock();
  const runtime = from?.runtime ?? new FakeRuntime(clock);
  const objects = new NodeObjects();
  const node = {
    clock,
    runtime,
    objects,
    events: [],
    statuses: [],
    confirmed: [],
    registryDown: false,
  } as unknown as FakeNode;
  const images = {
    find: (name: string) => (name === 'remote:1' ? undefined : image),
    get: () => image,
    pull: async () => {
      if (node.registryDown) throw new ImageError('Unreachable', 'no route to registry');
      return image;
    },
  };
  const network = {
    attach: async () => ['10.244.0.9'],
    detach: async () => {},
    policies: { podChanged() {} },
  };
  const event: WorkerDeps['event'] = (_pod, _container, _type, reason, message) =>
    node.events.push(`${reason}: ${message}`);
  const deps = {
    ...{ runtime, images, network, objects, clock, event, podsDir: dir, logger: pino({ level: 'silent' }) },
    puller: new ImagePuller({
      images,
      clock,
      event,
      secret: () => undefined,
      pulled() {},
      ...PULLING,
    } as never),
    facts: {
      name: 'n1',
      ips: ['10.0.0.1'],
      allocatable: {},
      domain: 'cluster.local',
      server: '10.96.0.10',
      memoryCapacity: 1,
      whole: {},
    },
    csi: { tearDown: async () => {}, sweep: async () => {} },
    devices: NO_DEVICES,
    cpus: {
      allocate() {},
      release() {},
      retain() {},
      of: () => undefined,
      hasOwn: () => false,
      isStatic: false,
    },
    networkReady: Promise.resolve(),
    withdrawn: async () => {},
    isShuttingDown: () => false,
    pressures: () => [],
    users: new UserRanges(runtime),
    settings: { unsafeSysctls: [], podPids: undefined },
    token: async () => ({ token: 't', expires: clock.now() + 3600_000 }),
    setStatus: (_pod: Pod, status: PodStatus) => node.statuses.push(status),
    statusSent: async () => node.statusSent?.(),
    confirmDeleted: async (pod: Pod) => node.confirmed.push(pod.metadata.name),
    gone: (uid: string) => node.manager.remove(uid),
  };
  node.manager = new PodManager(deps as unknown as WorkerDeps);
  await node.manager.recover();
  node.tell = (resource, key, object) =>
    objects.apply({ resource, key, ...(object ? { object: Buffer.from(JSON.stringify(object)) } : {}) });
  node.restart = async () => {
    await node.manager.close({ stopPods: false });
    return fakeNode({ dir, runtime, clock });
  };
  node.close = async () => {
    await node.manager.close({ stopPods: false });
    await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  };
  return node;
}

export function makePod(spec: Partial<Pod['spec']> = {}, metadata: object = {}): Pod & KubeObject {
  const containers = [{ name: 'a', image: 'demo:1', imagePullPolicy: 'IfNotPresent' }];
  return {
    ...{
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', namespace: 'default', uid: 'uid-1', ...metadata },
    },
    spec: { containers, terminationGracePeriodSeconds: 30, ...spec },
  };
}

/** Waits for what only takes the event loop's turns and a few files. */
export async function until(condition: () => boolean, what = 'what was waited for'): Promise<void> {
  for (let i = 0; !condition(); i++) {
    if (i > 400) throw new Error(`${what} did not happen`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
