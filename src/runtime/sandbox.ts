/** One pod: its shim, its cgroup and its containers. */
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Container } from './container.js';
import { crashPoint } from './crash-points.js';
import { type Environment, sandboxesDir, shimGroup } from './environment.js';
import { native } from './native.js';
import { connectShim, readContainer, ShimConnection, type ShimContainer } from './shim/connection.js';
import { launchShim } from './shim/launch.js';
import { SandboxFlag, Tag, Type } from './shim/protocol.js';
import { openSession, sessionFlags } from './shim/session.js';
import { Fields, FieldWriter } from './shim/wire.js';
import { type ExitRecord, SandboxState } from './state.js';
import {
  type ContainerConfig,
  type ContainerStatus,
  type Limits,
  RuntimeError,
  type SandboxConfig,
  type SandboxStatus,
  type Session,
  type SessionOptions,
} from './types.js';

/** For a container whose end nobody saw: it was killed with its shim. */
const KILLED = { exitCode: 137, signal: 9, oomKilled: false };
/** How long processes may take to go after SIGKILL. */
const KILL_TIMEOUT = 10_000;

/** The disk is full, broken or can't be written. */
const isDiskError = (error: unknown): error is Error =>
  ['ENOSPC', 'EDQUOT', 'EROFS', 'EIO'].includes((error as NodeJS.ErrnoException).code ?? '');

/** As upstream's runtimes do, so that unprivileged containers may ping and use low ports. */
const NETWORK_SYSCTLS = {
  'net.ipv4.ping_group_range': '0 2147483647',
  'net.ipv4.ip_unprivileged_port_start': '0',
};

export class Sandbox {
  readonly containers = new Map<string, Container>();
  readonly #env: Environment;
  readonly #state: SandboxState;
  readonly #cgroup: string;
  readonly #shimGroup: string;
  #connection: ShimConnection | undefined;
  #pid = 0;
  /** Whether this process has started the shim, and so has to reap it. */
  #isChild = false;
  #removing = false;

  constructor(
    env: Environment,
    public config: SandboxConfig,
    readonly createdAt: number,
  ) {
    this.#env = env;
    this.#state = new SandboxState(join(sandboxesDir(env), config.id));
    this.#cgroup = join(env.cgroupRoot, config.cgroup);
    this.#shimGroup = shimGroup(env, config.id);
  }

  /** Its own, and that of its shim. */
  get groups(): string[] {
    return [this.#cgroup, this.#shimGroup];
  }

  status(): SandboxStatus {
    const alive = this.#connection !== undefined;
    return {
      id: this.config.id,
      alive,
      pid: alive ? this.#pid : 0,
      createdAt: this.createdAt,
      netns: alive && this.config.network === 'pod' ? `/proc/${this.#pid}/ns/net` : '',
      labels: this.config.labels,
      limits: this.config.limits,
      ...(this.config.users ? { users: this.config.users } : {}),
      containers: [...this.containers.values()].map((c) => c.status),
    };
  }

  /** Makes state, cgroups and shim. Leaves nothing behind when it rejects. */
  async create(): Promise<void> {
    const { cgroups } = this.#env;
    try {
      this.#state.create({ config: this.config, createdAt: this.createdAt });
      crashPoint('sandbox written');
      cgroups.createParent(this.#cgroup, this.config.limits);
      cgroups.create(this.#shimGroup, {});
      crashPoint('sandbox groups made');
      const { pid, connection } = await launchShim(this.#env.shimPath, this.#state.folder);
      this.#pid = pid;
      this.#isChild = true;
      crashPoint('shim started');
      this.#state.writeShim(pid);
      crashPoint('shim written');
      await this.#open(connection, Type.setup, this.#setupFields());
      crashPoint('sandbox set up');
    } catch (error) {
      await this.remove();
      throw error;
    }
  }

  /** Goes on with a shim of an earlier agent, or takes note of its end. */
  async recover(): Promise<void> {
    this.#pid = this.#state.liveShim();
    for (const { config, createdAt } of this.#state.containers())
      this.containers.set(config.id, new Container(this.#env, this.config, config, createdAt));
    const known = this.#pid ? await this.#hello().catch(() => undefined) : undefined;
    if (!known) {
      await this.#clean();
      return;
    }
    for (const container of [...this.containers.values()]) {
      const told = known.get(container.config.id);
      const exit = this.#state.readExit(container.config.id);
      if (told) container.update(told);
      else if (exit) container.exited(exit);
      // Its start was not asked for any more, or failed.
      else await this.#discard(container);
    }
  }

  async startContainer(config: ContainerConfig): Promise<ContainerStatus> {
    if (!this.#connection) throw new RuntimeError('Gone', `sandbox ${this.config.id} has no shim`);
    if (this.containers.has(config.id))
      throw new RuntimeError('Invalid', `container ${config.id} exists already`);
    const container = new Container(this.#env, this.config, config, Date.now());
    this.containers.set(config.id, container);
    try {
      // Before anything is made for it: by this, a next agent finds what to remove.
      this.#state.writeContainer({ config, createdAt: container.status.createdAt });
      crashPoint('container written');
      container.prepare();
      crashPoint('container prepared');
      const answer = await this.#request(Type.start, container.startFields());
      if (container.status.state === 'created')
        container.started(answer.number(Tag.pid), answer.number(Tag.startedAt));
      crashPoint('container started');
      return container.status;
    } catch (error) {
      await this.#discard(container);
      if (error instanceof RuntimeError && error.code !== 'Internal') throw error;
      // Its configuration is not to blame: it may be tried again.
      if (isDiskError(error))
        throw new RuntimeError('Internal', `failed to create container: ${error.message}`);
      throw new RuntimeError('StartFailed', (error as Error).message);
    }
  }

  updateLimits(limits: Limits): void {
    this.#env.cgroups.update(this.#cgroup, limits);
    this.config = { ...this.config, limits };
    this.#state.create({ config: this.config, createdAt: this.createdAt });
  }

  updateContainer(container: Container, limits: Limits): void {
    this.#env.cgroups.update(container.cgroup, limits);
    container.config = { ...container.config, limits };
    this.#state.writeContainer({ config: container.config, createdAt: container.status.createdAt });
  }

  async signal(id: string, signal: number): Promise<void> {
    await this.#request(Type.signal, new FieldWriter().text(Tag.id, id).number(Tag.signal, signal));
  }

  /** Only of an ended container. */
  async removeContainer(container: Container): Promise<void> {
    if (container.status.state !== 'exited')
      throw new RuntimeError('Invalid', `container ${container.config.id} has not ended`);
    if (this.#connection)
      await this.#request(Type.remove, new FieldWriter().text(Tag.id, container.config.id)).catch((error) => {
        if (!(error instanceof RuntimeError)) throw error;
      });
    await this.#discard(container);
  }

  async reopenLog(id: string): Promise<void> {
    await this.#request(Type.reopen, new FieldWriter().text(Tag.id, id));
  }

  async exec(
    container: Container,
    argv: string[],
    options: SessionOptions,
    env?: string[],
  ): Promise<Session> {
    const fields = container.processFields(argv, sessionFlags(options), env);
    return openSession(await this.#sessionSocket(), Type.exec, fields, options);
  }

  async attach(container: Container, options: SessionOptions): Promise<Session> {
    const { tty } = container.config;
    const fields = new FieldWriter()
      .text(Tag.id, container.config.id)
      .number(Tag.flags, sessionFlags({ ...options, tty }));
    return openSession(await this.#sessionSocket(), Type.attach, fields, { ...options, tty });
  }

  /** Ends everything in it and removes what it left. Safe to repeat. */
  async remove(): Promise<void> {
    this.#removing = true;
    if (this.#connection) {
      await this.#request(Type.shutdown).catch(() => undefined);
      this.#connection?.close();
      this.#connection = undefined;
    }
    crashPoint('shim shut down');
    await this.#clean();
    crashPoint('sandbox processes gone');
    for (const container of [...this.containers.values()]) await this.#discard(container);
    crashPoint('containers removed');
    this.#env.cgroups.prune(this.#cgroup);
    this.#env.cgroups.prune(this.#shimGroup);
    crashPoint('sandbox groups removed');
    this.#state.remove();
  }

  /** Leaves the shim and its containers running. */
  close(): void {
    this.#removing = true;
    this.#connection?.close();
    this.#connection = undefined;
  }

  #setupFields(): FieldWriter {
    const { config } = this;
    const flags =
      (config.network === 'pod' ? SandboxFlag.network : 0) |
      (config.ipc === 'pod' ? SandboxFlag.ipc : 0) |
      (config.pid === 'pod' ? SandboxFlag.podPid : 0) |
      (config.pid === 'host' ? SandboxFlag.hostPid : 0);
    const sysctls = { ...(config.network === 'pod' ? NETWORK_SYSCTLS : {}), ...config.sysctls };
    return new FieldWriter()
      .number(Tag.flags, flags)
      .text(Tag.hostname, config.hostname)
      .number(Tag.userBase, config.users?.base ?? 0)
      .number(Tag.userSize, config.users?.size ?? 0)
      .texts(Tag.cgroupProcs, this.#env.cgroups.procs(this.#shimGroup))
      .texts(
        Tag.sysctl,
        Object.entries(sysctls).map(([name, value]) => `${name}=${value}`),
      );
  }

  /** Uses the connection from the first answer on. */
  async #open(socket: Socket, type: number, fields?: FieldWriter): Promise<Fields> {
    const connection = new ShimConnection(
      socket,
      (told) => this.#exited(told),
      () => {
        if (this.#connection === connection) void this.#lost();
      },
      this.#env.shimPatienceMs,
    );
    try {
      const answer = await connection.request(type, fields);
      this.#connection = connection;
      return answer;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  #request(type: number, fields?: FieldWriter): Promise<Fields> {
    if (!this.#connection) throw new RuntimeError('Gone', `sandbox ${this.config.id} has no shim`);
    return this.#connection.request(type, fields);
  }

  #sessionSocket() {
    return connectShim(this.#state.folder).catch((error: Error) => {
      throw new RuntimeError('Gone', `sandbox ${this.config.id}: ${error.message}`);
    });
  }

  /** Connects anew; resolves with what the shim knows. */
  async #hello(): Promise<Map<string, ShimContainer>> {
    const answer = await this.#open(await connectShim(this.#state.folder), Type.hello);
    const told = answer.all(Tag.container).map((bytes) => readContainer(new Fields(bytes)));
    return new Map(told.map((c) => [c.id, c]));
  }

  #exited(told: ShimContainer): void {
    const container = this.containers.get(told.id);
    if (!container || container.status.state === 'exited') return;
    container.update(told);
    this.#env.onExit(container.status);
  }

  /** The shim closed the connection: it is dead, or did not like what it got. */
  async #lost(): Promise<void> {
    this.#connection = undefined;
    if (this.#removing) return;
    const known = this.#state.liveShim() ? await this.#hello().catch(() => undefined) : undefined;
    if (known) {
      for (const told of known.values()) if (told.ended) this.#exited(told);
      return;
    }
    await this.#clean();
    this.#env.onGone(this.config.id);
  }

  /** Without a shim nothing may run on: kills what is left, and says of each container that it ended. */
  async #clean(): Promise<void> {
    this.#connection?.close();
    this.#connection = undefined;
    const shim = this.#state.liveShim();
    if (shim)
      try {
        process.kill(shim, 'SIGKILL');
      } catch {
        // It has just ended.
      }
    for (const group of [this.#cgroup, this.#shimGroup]) this.#env.cgroups.kill(group);
    if (this.#isChild) await native.reap(this.#pid);
    this.#isChild = false;
    for (let wait = 1; this.#state.liveShim() && wait < KILL_TIMEOUT; wait *= 2) await sleep(wait);
    for (const group of [this.#cgroup, this.#shimGroup]) await this.#env.cgroups.remove(group, KILL_TIMEOUT);
    for (const container of this.containers.values()) {
      const { state } = container.status;
      if (state === 'exited') continue;
      const exit: ExitRecord = this.#state.readExit(container.config.id) ?? {
        ...KILLED,
        finishedAt: Date.now(),
      };
      this.#state.writeExit(container.config.id, exit);
      container.exited(exit);
      if (state === 'running') this.#env.onExit(container.status);
    }
  }

  async #discard(container: Container): Promise<void> {
    await container.remove();
    this.#state.removeContainer(container.config.id);
    this.containers.delete(container.config.id);
  }
}
