/** One container: its files, its cgroup and its status. */
import { rmSync, statSync, symlinkSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { containersDir, type Environment } from './environment.js';
import { makeFolderSync } from './make-folder.js';
import type { ShimContainer } from './shim/connection.js';
import { ProcessFlag, Tag } from './shim/protocol.js';
import type { FieldWriter } from './shim/wire.js';
import { type ResolvedDevice, resolveDevices, ruleNumber } from './spec/devices.js';
import { containerMounts, MASKED_PATHS, READ_ONLY_PATHS } from './spec/mounts.js';
import { processFields } from './spec/process.js';
import type { ExitRecord } from './state.js';
import {
  type ContainerConfig,
  type ContainerStatus,
  type Mount,
  RuntimeError,
  type SandboxConfig,
} from './types.js';

/** Of most file systems, in bytes: longer names of links are cut, as upstream does. */
const MAX_FILE_NAME = 255;
const LOG_SUFFIX = '.log';

export class Container {
  readonly cgroup: string;
  readonly logPath: string;
  status: ContainerStatus;
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
  #end!: () => void;
  #env: Environment;
  #data: string;
  #devices: ResolvedDevice[] = [];

  constructor(
    env: Environment,
    readonly sandbox: SandboxConfig,
    public config: ContainerConfig,
    createdAt: number,
  ) {
    this.#env = env;
    this.#data = join(containersDir(env), config.id);
    this.cgroup = join(env.cgroupRoot, sandbox.cgroup, config.id);
    this.logPath = config.logPath ?? join(sandbox.logDirectory, config.name, `${config.attempt}.log`);
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.status = {
      id: config.id,
      sandboxId: sandbox.id,
      name: config.name,
      attempt: config.attempt,
      imageId: config.imageId,
      state: 'created',
      pid: 0,
      createdAt,
      startedAt: 0,
      finishedAt: 0,
      exitCode: 0,
      signal: 0,
      oomKilled: false,
      logPath: this.logPath,
      labels: config.labels,
    };
  }

  get running(): boolean {
    return this.status.state === 'running';
  }

  /** Makes folders, cgroup and log link; the shim makes the rest. Throws RuntimeError('StartFailed') for a device that is none. */
  prepare(): void {
    const { cgroups, logLinkDir } = this.#env;
    this.#devices = (this.config.devices ?? []).flatMap(resolveDevices);
    for (const name of ['upper', 'work', 'root']) makeFolderSync(join(this.#data, name));
    cgroups.create(
      this.cgroup,
      this.config.limits,
      this.config.security.privileged ? 'all' : 'default',
      this.#devices.map(({ rule }) => rule),
    );
    makeFolderSync(dirname(this.logPath));
    if (!logLinkDir) return;
    makeFolderSync(logLinkDir);
    rmSync(this.#link(), { force: true });
    symlinkSync(this.logPath, this.#link());
  }

  /** Throws RuntimeError('ImageMissing' | 'Invalid'). */
  startFields(): FieldWriter {
    const { config, sandbox } = this;
    const { cgroups, images } = this.#env;
    const image = images.get(config.imageId);
    if (!image) throw new RuntimeError('ImageMissing', `image ${config.imageId} is not on this node`);
    const { privileged } = config.security;
    const fields = this.processFields(config.argv, this.#streamFlags())
      .text(Tag.logPath, this.logPath)
      .text(Tag.pidsOf, config.pidsOf ?? '')
      .text(Tag.oomFile, cgroups.oomFile(this.cgroup))
      .text(Tag.cgroupKill, cgroups.killFile(this.cgroup))
      .texts(Tag.lower, [...image.layers].reverse())
      .text(Tag.upper, join(this.#data, 'upper'))
      .text(Tag.work, join(this.#data, 'work'))
      .text(Tag.root, join(this.#data, 'root'));
    const mounts = containerMounts({
      mounts: [...checkSources(config), ...this.#devices.map(deviceMount)],
      privileged,
      hostIpc: sandbox.ipc === 'host',
      cgroups: cgroups.mounts(),
    });
    for (const mount of mounts) fields.nested(Tag.mount, mount);
    if (privileged) return fields;
    const { unmasked, maskedPaths, readOnlyPaths } = config.security;
    if (!unmasked)
      fields
        .texts(Tag.masked, maskedPaths ?? MASKED_PATHS)
        .texts(Tag.readOnlyPath, readOnlyPaths ?? READ_ONLY_PATHS);
    for (const { rule } of this.#devices) fields.number(Tag.device, ruleNumber(rule));
    return fields.text(Tag.deviceCgroup, cgroups.deviceFolder(this.cgroup));
  }

  processFields(argv: string[], flags: number, env: string[] = []): FieldWriter {
    return processFields({
      config: this.config,
      argv,
      flags,
      env,
      hostname: this.sandbox.hostname,
      cgroupProcs: this.#env.cgroups.procs(this.cgroup),
      seccompCache: this.#env.seccompCache,
    });
  }

  started(pid: number, startedAt: number): void {
    this.status = { ...this.status, state: 'running', pid, startedAt };
  }

  /** What the shim says of it. */
  update(told: ShimContainer): void {
    this.started(told.pid, told.startedAt);
    if (told.ended) this.exited(told);
  }

  exited({ exitCode, signal, finishedAt, oomKilled }: ExitRecord): void {
    this.status = { ...this.status, state: 'exited', pid: 0, exitCode, signal, finishedAt, oomKilled };
    this.#end();
  }

  /** Removes all but the log. */
  async remove(): Promise<void> {
    if (this.#env.logLinkDir) rmSync(this.#link(), { force: true });
    this.#env.cgroups.kill(this.cgroup);
    await this.#env.cgroups.remove(this.cgroup);
    await rm(this.#data, { recursive: true, force: true });
  }

  #streamFlags(): number {
    const { tty, stdin, stdinOnce } = this.config;
    return (
      (tty ? ProcessFlag.tty : 0) | (stdin ? ProcessFlag.stdin : 0) | (stdinOnce ? ProcessFlag.stdinOnce : 0)
    );
  }

  #link(): string {
    const { name, namespace } = this.sandbox;
    const file = `${name}_${namespace}_${this.config.name}-${this.config.id}`;
    return join(this.#env.logLinkDir, `${file.slice(0, MAX_FILE_NAME - LOG_SUFFIX.length)}${LOG_SUFFIX}`);
  }
}

/** The host's own node: with it, a pod with a user namespace needs no right to make one. */
const deviceMount = ({ source, target }: ResolvedDevice): Mount => ({ source, target, readOnly: false });

function checkSources(config: ContainerConfig): ContainerConfig['mounts'] {
  for (const { source } of config.mounts)
    if (!statSync(source, { throwIfNoEntry: false }))
      throw new RuntimeError('StartFailed', `bind mount ${source}: no such file or directory`);
  return config.mounts;
}
