/** The Runtime over shims, see types.ts for its contract. */
import { EventEmitter } from 'node:events';
import { mkdirSync, rmSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { openCgroups } from './cgroup/cgroup.js';
import type { Container } from './container.js';
import { containersDir, type Environment, sandboxesDir } from './environment.js';
import type { RuntimeOptions } from './index.js';
import { Sandbox } from './sandbox.js';
import { namesIn, SandboxState } from './state.js';
import {
  type ContainerConfig,
  type ContainerStats,
  type ContainerStatus,
  type Limits,
  type Runtime,
  RuntimeError,
  type RuntimeEvents,
  type SandboxConfig,
  type SandboxStatus,
  type Session,
  type SessionOptions,
} from './types.js';

/** What setTimeout takes at most: 24 days. */
const MAX_TIMER = 2 ** 31 - 1;
/** Ids name files and cgroups. */
const ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;

export class ContainerRuntime implements Runtime {
  #env: Environment;
  #events = new EventEmitter();
  #sandboxes = new Map<string, Sandbox>();
  /** Creations and removals under way, by sandbox. */
  #pending = new Map<string, Promise<unknown>>();

  private constructor(env: Environment) {
    this.#env = env;
    this.#events.setMaxListeners(0);
  }

  static async open(options: RuntimeOptions): Promise<ContainerRuntime> {
    const env: Environment = {
      ...options,
      dataDir: options.dataDir ?? join(options.stateDir, 'data'),
      logLinkDir: options.logLinkDir ?? '/var/log/containers',
      cgroups: openCgroups(),
      // Another build may have another default profile.
      seccompCache: join(options.stateDir, `seccomp-${Math.trunc(statSync(options.shimPath).mtimeMs)}`),
      onExit: (status) => runtime.#events.emit('exit', status),
      onGone: (id) => runtime.#events.emit('gone', id),
    };
    const runtime = new ContainerRuntime(env);
    mkdirSync(sandboxesDir(env), { recursive: true, mode: 0o700 });
    mkdirSync(containersDir(env), { recursive: true, mode: 0o700 });
    return runtime;
  }

  async recover(): Promise<SandboxStatus[]> {
    await Promise.all(namesIn(sandboxesDir(this.#env)).map((id) => this.#recoverSandbox(id)));
    await this.#removeUnknownGroups(this.#env.cgroupRoot);
    await this.#removeUnknownData();
    return this.sandboxes();
  }

  async #recoverSandbox(id: string): Promise<void> {
    if (this.#sandboxes.has(id)) return;
    const state = new SandboxState(join(sandboxesDir(this.#env), id));
    const record = state.read();
    if (!record) {
      // It was not whole when its agent ended; a shim that had no set-up ended with it.
      state.remove();
      return;
    }
    const sandbox = new Sandbox(this.#env, record.config, record.createdAt);
    this.#sandboxes.set(id, sandbox);
    await sandbox.recover();
  }

  /** What runs in a group of no sandbox has lost its state: nobody could ever end it. */
  async #removeUnknownGroups(path: string): Promise<void> {
    const { cgroups, logger } = this.#env;
    const known = new Set([...this.#sandboxes.values()].flatMap((sandbox) => sandbox.groups));
    for (const name of cgroups.below(path)) {
      const group = join(path, name);
      if (known.has(group)) continue;
      if ([...known].some((other) => other.startsWith(`${group}/`))) {
        await this.#removeUnknownGroups(group);
        continue;
      }
      logger.info({ group }, 'removing a control group that belongs to no sandbox');
      cgroups.kill(group);
      await cgroups.remove(group).catch((err) => logger.warn({ err, group }, 'it could not be removed'));
    }
  }

  /** Writable layers outlive a reboot, which clears the state that knew them. */
  async #removeUnknownData(): Promise<void> {
    const known = new Set([...this.#sandboxes.values()].flatMap((s) => [...s.containers.keys()]));
    for (const id of namesIn(containersDir(this.#env)))
      if (!known.has(id)) await rm(join(containersDir(this.#env), id), { recursive: true, force: true });
  }

  createSandbox(config: SandboxConfig): Promise<SandboxStatus> {
    return this.#serially(config.id, async () => {
      if (!ID.test(config.id)) throw new RuntimeError('Invalid', `invalid sandbox id "${config.id}"`);
      const existing = this.#sandboxes.get(config.id);
      if (existing?.status().alive) return existing.status();
      await existing?.remove();
      const sandbox = new Sandbox(this.#env, config, Date.now());
      await sandbox.create();
      this.#sandboxes.set(config.id, sandbox);
      return sandbox.status();
    });
  }

  removeSandbox(id: string): Promise<void> {
    return this.#serially(id, async () => {
      const sandbox = this.#sandboxes.get(id);
      const containers = sandbox?.status().containers ?? [];
      await sandbox?.remove();
      this.#sandboxes.delete(id);
      for (const status of containers) this.#events.emit('removed', status);
    });
  }

  sandboxes(): SandboxStatus[] {
    return [...this.#sandboxes.values()].map((s) => s.status());
  }

  sandbox(id: string): SandboxStatus | undefined {
    return this.#sandboxes.get(id)?.status();
  }

  sandboxConfig(id: string): SandboxConfig | undefined {
    return this.#sandboxes.get(id)?.config;
  }

  containerConfig(id: string): ContainerConfig | undefined {
    return this.#lookUp(id)?.container.config;
  }

  async startContainer(config: ContainerConfig): Promise<ContainerStatus> {
    if (!ID.test(config.id)) throw new RuntimeError('Invalid', `invalid container id "${config.id}"`);
    const sandbox = this.#sandboxes.get(config.sandboxId);
    if (!sandbox) throw new RuntimeError('NotFound', `no sandbox ${config.sandboxId}`);
    const status = await sandbox.startContainer(config);
    this.#events.emit('started', status);
    return status;
  }

  async stopContainer(id: string, signal: string, graceMs: number): Promise<ContainerStatus> {
    const { sandbox, container } = this.#find(id);
    const send = (number: number) => sandbox.signal(id, number).catch(() => undefined);
    if (container.running) {
      // The grace runs whatever the shim says: one that hangs is given up.
      void send(graceMs > 0 ? signalNumber(signal) : constants.signals.SIGKILL);
      const kill = setTimeout(() => void send(constants.signals.SIGKILL), Math.min(graceMs, MAX_TIMER));
      await container.ended;
      clearTimeout(kill);
    }
    return container.status;
  }

  async removeContainer(id: string): Promise<void> {
    const found = this.#lookUp(id);
    if (!found) return;
    await found.sandbox.removeContainer(found.container);
    this.#events.emit('removed', found.container.status);
  }

  async exec(id: string, argv: string[], options: SessionOptions, env?: string[]): Promise<Session> {
    const { sandbox, container } = this.#find(id);
    return sandbox.exec(container, argv, options, env);
  }

  async attach(id: string, options: SessionOptions): Promise<Session> {
    const { sandbox, container } = this.#find(id);
    return sandbox.attach(container, options);
  }

  async reopenLog(id: string): Promise<void> {
    await this.#find(id).sandbox.reopenLog(id);
  }

  async updateLimits(id: string, limits: Limits): Promise<void> {
    const sandbox = this.#sandboxes.get(id);
    if (sandbox) sandbox.updateLimits(limits);
    else this.#find(id).sandbox.updateContainer(this.#find(id).container, limits);
  }

  limitParent(path: string, limits: Limits): void {
    const { cgroups, cgroupRoot } = this.#env;
    const group = join(cgroupRoot, path);
    if (cgroups.exists(group)) cgroups.update(group, limits);
  }

  async parentStats(path: string): Promise<ContainerStats> {
    const { cgroups, cgroupRoot } = this.#env;
    return cgroups.stats(join(cgroupRoot, path));
  }

  writableLayer(id: string): string {
    return join(containersDir(this.#env), id, 'upper');
  }

  async stats(id: string): Promise<ContainerStats> {
    const sandbox = this.#sandboxes.get(id);
    const { cgroups, cgroupRoot } = this.#env;
    return cgroups.stats(sandbox ? join(cgroupRoot, sandbox.config.cgroup) : this.#find(id).container.cgroup);
  }

  on<E extends keyof RuntimeEvents>(event: E, listener: (...args: RuntimeEvents[E]) => void): void {
    this.#events.on(event, listener as (...args: unknown[]) => void);
  }

  off<E extends keyof RuntimeEvents>(event: E, listener: (...args: RuntimeEvents[E]) => void): void {
    this.#events.off(event, listener as (...args: unknown[]) => void);
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#pending.values());
    for (const sandbox of this.#sandboxes.values()) sandbox.close();
    if (this.#sandboxes.size > 0) return;
    // Nothing runs: leave no trace.
    for (const name of namesIn(this.#env.stateDir))
      if (name.startsWith('seccomp-')) rmSync(join(this.#env.stateDir, name), { force: true });
  }

  #lookUp(id: string): { sandbox: Sandbox; container: Container } | undefined {
    for (const sandbox of this.#sandboxes.values()) {
      const container = sandbox.containers.get(id);
      if (container) return { sandbox, container };
    }
    return undefined;
  }

  #find(id: string): { sandbox: Sandbox; container: Container } {
    const found = this.#lookUp(id);
    if (!found) throw new RuntimeError('NotFound', `no container ${id}`);
    return found;
  }

  /** One at a time per sandbox, in the order of the calls. */
  #serially<T>(id: string, work: () => Promise<T>): Promise<T> {
    const next = (this.#pending.get(id) ?? Promise.resolve()).then(work, work);
    const settled = next
      .catch(() => undefined)
      .then(() => {
        if (this.#pending.get(id) === settled) this.#pending.delete(id);
      });
    this.#pending.set(id, settled);
    return next;
  }
}

/** `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3`. Throws RuntimeError('Invalid'). */
export function signalNumber(name: string): number {
  const realTime = /^(?:SIG)?RTMIN(?:\+(\d+))?$/i.exec(name);
  if (realTime) return 34 + Number(realTime[1] ?? 0);
  const number = /^\d+$/.test(name)
    ? Number(name)
    : constants.signals[`SIG${name.toUpperCase().replace(/^SIG/, '')}` as NodeJS.Signals];
  if (!number || number > 64) throw new RuntimeError('Invalid', `unknown signal "${name}"`);
  return number;
}
