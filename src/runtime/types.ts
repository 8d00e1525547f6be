/** The runtime's contract with the agent: sandboxes and containers, with no word of the Kubernetes API. */
import type { Readable, Writable } from 'node:stream';

/** Limits of a cgroup; absent means unlimited. */
export interface Limits {
  /** cpu.shares on v1 (2 … 262144), converted to weight on v2. */
  cpuShares?: number;
  /** Microseconds per period of 100 ms. */
  cpuQuota?: number;
  /** Bytes. */
  memory?: number;
  pids?: number;
  /** Bytes by page size, in the kernel's words: `2MB`, `1GB`. None of the sizes that are not named; absent: no limit. */
  hugePages?: Record<string, number>;
  /** Where it may run, as a list such as `0-2,5`; absent: everywhere, or as before. */
  cpus?: string;
}

export interface SandboxConfig {
  /** The pod's UID: names the sandbox for its whole life. */
  id: string;
  name: string;
  namespace: string;
  hostname: string;
  /** Below the runtime's cgroup root, such as `burstable/pod<uid>`. */
  cgroup: string;
  limits: Limits;
  /** Network, PID and IPC namespace: of its own, or the host's; `pod`: one PID namespace for all containers. */
  network: 'pod' | 'host';
  pid: 'container' | 'pod' | 'host';
  ipc: 'pod' | 'host';
  sysctls: Record<string, string>;
  /** A user namespace: ids from 0 on are those of the host from `base` on. Absent: the host's. */
  users?: { base: number; size: number };
  /** `/var/log/pods/<namespace>_<name>_<uid>`. */
  logDirectory: string;
  /** Kept with the sandbox and given back by `list()`: what the agent wants to find after a restart. */
  labels: Record<string, string>;
}

export interface Mount {
  /** A file or folder of the host. */
  source: string;
  /** Absolute path in the container. */
  target: string;
  readOnly: boolean;
  /** Read-only with all that is mounted below. */
  recursive?: boolean;
  propagation?: 'private' | 'rslave' | 'rshared';
}

/** A device of the host that the container sees and may use. */
export interface Device {
  /** Its node on the host, a link to that, or a folder with many. */
  source: string;
  /** Absolute path in the container. */
  target: string;
  /** Of `r`, `w` and `m` (making nodes of it). */
  access: string;
}

export interface ContainerSecurity {
  uid: number;
  gid: number;
  supplementalGroups: number[];
  privileged: boolean;
  noNewPrivileges: boolean;
  readOnlyRoot: boolean;
  /** All of /proc is in sight, and what its user may write of it can be written. */
  unmasked?: boolean;
  /** Paths that can't be read, and that can't be written, in place of those of the kernel's files. */
  maskedPaths?: string[];
  readOnlyPaths?: string[];
  /** Names without `CAP_`; added to and dropped from the runtime's default set; `ALL` is allowed in both. */
  addCapabilities: string[];
  dropCapabilities: string[];
  seccomp: 'default' | 'unconfined' | { profile: string };
}

export interface ContainerConfig {
  /** 64 hex digits. */
  id: string;
  sandboxId: string;
  name: string;
  /** Counts this container's starts in the pod: names its log file `<attempt>.log`. */
  attempt: number;
  /** The image's id in the image store (`sha256:…` of its config). */
  imageId: string;
  /** The whole argv: entrypoint and arguments are settled by the agent. */
  argv: string[];
  /** `NAME=value`, the image's own included. */
  env: string[];
  workingDirectory: string;
  mounts: Mount[];
  devices?: Device[];
  limits: Limits;
  /** −1000 … 1000. */
  oomScoreAdj: number;
  security: ContainerSecurity;
  tty: boolean;
  stdin: boolean;
  stdinOnce: boolean;
  /** Its log file; absent: by its name and attempt in the sandbox's log directory. */
  logPath?: string;
  /** Id of a running container of the sandbox whose PID namespace it joins, where each has its own. */
  pidsOf?: string;
  labels: Record<string, string>;
}

export interface ContainerStatus {
  id: string;
  sandboxId: string;
  name: string;
  attempt: number;
  imageId: string;
  state: 'created' | 'running' | 'exited';
  /** Of the first process, in the host's PID namespace; 0 unless running. */
  pid: number;
  /** Milliseconds since the epoch; 0 when it did not happen. */
  createdAt: number;
  startedAt: number;
  finishedAt: number;
  exitCode: number;
  /** The signal that ended it, 0 if none. */
  signal: number;
  oomKilled: boolean;
  logPath: string;
  labels: Record<string, string>;
}

export interface SandboxStatus {
  id: string;
  /** Whether the shim answers. */
  alive: boolean;
  /** Of the shim. */
  pid: number;
  createdAt: number;
  /** `/proc/<pid>/ns/net` or a bind mount of it; empty with the host's network. */
  netns: string;
  labels: Record<string, string>;
  /** Of its cgroup. */
  limits?: Limits;
  /** Its user namespace. */
  users?: { base: number; size: number };
  containers: ContainerStatus[];
}

/** An open exec or attach inside a container. */
export interface Session {
  stdin: Writable | undefined;
  stdout: Readable | undefined;
  stderr: Readable | undefined;
  resize(columns: number, rows: number): void;
  exited: Promise<{ exitCode: number }>;
  close(): void;
}

export interface SessionOptions {
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  tty: boolean;
}

export interface ContainerStats {
  /** Nanoseconds of CPU used. */
  cpuNanos: number;
  memoryBytes: number;
  /** Memory less the inactive page cache: what upstream calls the working set. */
  workingSetBytes: number;
  pids: number;
  /** Of the CPU time, in user and in kernel mode. */
  userNanos: number;
  systemNanos: number;
  /** Of the memory: anonymous, cached files, and files that are mapped. */
  rssBytes: number;
  cacheBytes: number;
  mappedBytes: number;
  pageFaults: number;
  majorPageFaults: number;
  /** Periods with a CPU quota, those in which it ran out, and the time that was waited for the next. */
  periods: number;
  throttledPeriods: number;
  throttledNanos: number;
}

/** Why something could not be done. `code` is a word the agent maps to a reason. */
export class RuntimeError extends Error {
  constructor(
    readonly code: 'NotFound' | 'StartFailed' | 'ImageMissing' | 'Gone' | 'Invalid' | 'Internal',
    message: string,
    /** For StartFailed: what the container's exit code is said to be (128 as upstream). */
    readonly exitCode = 128,
  ) {
    super(message);
    this.name = 'RuntimeError';
  }
}

export interface RuntimeEvents {
  /** A container runs. */
  started: [status: ContainerStatus];
  /** A container ended. */
  exit: [status: ContainerStatus];
  /** Nothing is left of a container. */
  removed: [status: ContainerStatus];
  /** A shim ended or is not to be reached any more. */
  gone: [sandboxId: string];
}

export interface Runtime {
  /** Finds the shims that an earlier agent left, and goes on with them. */
  recover(): Promise<SandboxStatus[]>;
  createSandbox(config: SandboxConfig): Promise<SandboxStatus>;
  /** Kills what is left in it, ends the shim, removes cgroups, mounts and state. Idempotent. */
  removeSandbox(id: string): Promise<void>;
  sandboxes(): SandboxStatus[];
  sandbox(id: string): SandboxStatus | undefined;
  /** What a sandbox or a container was made of; undefined when it is not there. */
  sandboxConfig(id: string): SandboxConfig | undefined;
  containerConfig(id: string): ContainerConfig | undefined;
  /** Makes root filesystem and cgroup, and runs it. Rejects with RuntimeError('StartFailed') when the command can't be executed. */
  startContainer(config: ContainerConfig): Promise<ContainerStatus>;
  /** `signal` at once, SIGKILL after the grace; resolves when it has ended. */
  stopContainer(id: string, signal: string, graceMs: number): Promise<ContainerStatus>;
  /** Removes an ended container's root filesystem, cgroup and state; its log stays. */
  removeContainer(id: string): Promise<void>;
  exec(id: string, argv: string[], options: SessionOptions, env?: string[]): Promise<Session>;
  attach(id: string, options: SessionOptions): Promise<Session>;
  /** Writes on to a new file at the log's path, after the old one was renamed. */
  reopenLog(id: string): Promise<void>;
  /** New limits for a container or a sandbox. Rejects when the kernel refuses one; it may have taken others. */
  updateLimits(id: string, limits: Limits): Promise<void>;
  /** New limits for a group above the sandboxes', by its path below the runtime's own; nothing while it holds none. */
  limitParent(path: string, limits: Limits): void;
  /** Of such a group. Rejects when it is not there. */
  parentStats(path: string): Promise<ContainerStats>;
  /** The folder with what a container has written to its root filesystem; it need not be there. */
  writableLayer(id: string): string;
  /** Of a container or a sandbox. */
  stats(id: string): Promise<ContainerStats>;
  on<E extends keyof RuntimeEvents>(event: E, listener: (...args: RuntimeEvents[E]) => void): void;
  off<E extends keyof RuntimeEvents>(event: E, listener: (...args: RuntimeEvents[E]) => void): void;
  close(): Promise<void>;
}

/** An image that this node has. */
export interface Image {
  /** `sha256:…` of the config. */
  id: string;
  /** Names with tags, such as `docker.io/library/busybox:1.36`. */
  tags: string[];
  /** Names with digests, such as `docker.io/library/busybox@sha256:…`. */
  digests: string[];
  /** Bytes of the unpacked layers. */
  size: number;
  config: ImageConfig;
  /** Unpacked layer folders, lowest first, as overlayfs takes them. */
  layers: string[];
}

export interface ImageConfig {
  entrypoint: string[];
  command: string[];
  env: string[];
  workingDirectory: string;
  user: string;
  stopSignal: string;
  labels: Record<string, string>;
  exposedPorts: string[];
}

export interface PullOptions {
  auth?: { username: string; password: string };
  signal?: AbortSignal;
  onProgress?(done: number, total: number): void;
}

/** Errors are ImageError with a code that the agent maps to reasons (ErrImagePull, InvalidImageName …). */
export class ImageError extends Error {
  constructor(
    readonly code:
      | 'InvalidName'
      | 'NotFound'
      | 'Unauthorized'
      | 'Unreachable'
      | 'Corrupt'
      | 'Unsupported'
      | 'Internal',
    message: string,
  ) {
    super(message);
    this.name = 'ImageError';
  }
}

export interface ImageStore {
  /** By name (aliases included), digest or id, without any I/O on a network. */
  find(reference: string): Image | undefined;
  get(id: string): Image | undefined;
  list(): Image[];
  /** Pulls from the registry that the name tells, or takes the alias that the configuration gives. */
  pull(reference: string, options?: PullOptions): Promise<Image>;
  /** A docker-archive or an OCI layout (folder or tar); `name` renames a single image. */
  import(path: string, name?: string): Promise<Image[]>;
  /** Removes a name, and the image with its unshared layers when that was its last. */
  remove(reference: string): Promise<void>;
  close(): Promise<void>;
}
