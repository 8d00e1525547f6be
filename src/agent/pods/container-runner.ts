/** One container of a pod: its runs, hooks and probes, and the record that its status is made of. */
import { rm } from 'node:fs/promises';
import type { Container, Pod, ResourceRequirements } from '#types';
import { sleep } from '../../client/retry.js';
import { crashPoint } from '../../runtime/crash-points.js';
import { MNT_DETACH, native } from '../../runtime/native.js';
import { type ContainerStatus, RuntimeError } from '../../runtime/types.js';
import { ImageUnavailable } from '../images/image-puller.js';
import { removeLog } from '../logs/rotation.js';
import { containerConfig, type Prepared } from './container-config.js';
import { ContainerHealth } from './container-health.js';
import { ContainerImage } from './container-image.js';
import { ContainerStop } from './container-stop.js';
import { ConfigError } from './env.js';
import { targetOf } from './ephemeral.js';
import type { ContainerView } from './next-actions.js';
import { sameResources, withPodLimits } from './resize.js';
import { containerLimits, withoutQuota } from './resources.js';
import { RestartBackoff } from './restart-backoff.js';
import type { ContainerRecord } from './status.js';
import { terminationMessage } from './termination-message.js';
import type { WorkerDeps } from './worker-deps.js';

/** What could not be stopped is tried again after this. */
const STOP_RETRY_MS = 1000;
/** A container that could not be made is tried again after this. */
const CREATE_RETRY_MS = 10_000;
/** What a container needs of its pod. */
export interface PodContext {
  readonly pod: Pod;
  readonly podIPs: string[];
  readonly dir: string;
  readonly volumes: Map<string, string>;
  readonly terminating: boolean;
  /** What is known of another container of the pod. */
  record(container: string): ContainerRecord | undefined;
  /** Something has changed: look what is next. */
  changed(): void;
}

export class ContainerRunner {
  readonly record: ContainerRecord;
  #operation: 'starting' | 'stopping' | undefined;
  /** No start before this, by `clock.elapsed()`. */
  #retryAt = 0;
  #blocked = false;
  /** What its last run has done is to be done again. */
  #stale = false;
  #stopping: ContainerStop | undefined;
  readonly #image: ContainerImage;
  readonly #health: ContainerHealth;
  readonly #backoff = new RestartBackoff();
  readonly #cancels = new Set<() => void>();

  constructor(
    /** With the resources that it has been given. */
    public container: Container,
    readonly context: PodContext,
    private readonly deps: WorkerDeps,
    restartCount: number,
  ) {
    this.record = {
      notes: new Map(),
      restartCount,
      imageName: '',
      imageId: '',
      ready: false,
      started: false,
    };
    this.#image = new ContainerImage(this, deps);
    this.#health = new ContainerHealth(this, deps);
  }

  /** What decisions are made of. */
  view(now: number): ContainerView {
    const { latest } = this.record;
    const state = this.#operation ?? (latest?.state === 'running' ? 'running' : latest ? 'exited' : 'none');
    const ended = latest?.state === 'exited';
    const restartAt = ended ? this.#backoff.notBefore(latest, now) : 0;
    const retryIn = Math.max(this.#retryAt, this.#image.retryAt) - this.deps.clock.elapsed();
    const notBefore = Math.max(restartAt, retryIn > 0 ? now + retryIn : 0);
    return {
      state,
      exitCode: latest?.exitCode ?? 0,
      stale: this.#stale && ended,
      notBefore,
      image: this.#image.image !== undefined,
      started: this.record.started && this.#health.hooked,
      ...(this.#health.unhealthy ? { unhealthy: this.#health.unhealthy } : {}),
      blocked: this.#blocked,
      again: this.record.again ?? false,
    };
  }

  /** Goes on with what an earlier agent has started. */
  adopt(runs: ContainerStatus[]): void {
    const sorted = runs.toSorted((a, b) => a.attempt - b.attempt);
    this.record.last = sorted.at(-2);
    this.record.latest = sorted.at(-1);
    const { latest } = this.record;
    if (!latest) return;
    this.record.restartCount = latest.attempt;
    this.#backoff.restore(latest.labels['backoff'] ?? '');
    this.#image.set(this.deps.images.get(latest.imageId));
    for (const run of sorted) if (run.state === 'exited') this.#note(run);
    const told = this.context.pod.status;
    const before = [...(told?.containerStatuses ?? []), ...(told?.initContainerStatuses ?? [])].find(
      (status) => status.name === this.container.name,
    );
    this.record.user = before?.user?.linux as ContainerRecord['user'];
    this.record.resources = before?.resources ?? {};
    this.record.applied = withPodLimits(this.record.resources, told?.resources);
    if (latest.state === 'running')
      this.#health.watch(latest, before?.started ?? false, before?.ready ?? false);
  }

  /** An object that the pod refers to has changed: what failed for want of it may work now. */
  unblock(): void {
    this.#blocked = false;
    this.#retryAt = 0;
    this.#image.retryAt = 0;
  }

  /** The pod has other labels or annotations, of which its environment and paths may be made. */
  metadataChanged(): void {
    if (this.#blocked) this.unblock();
  }

  /** Whether it runs with other resources than it has been given. */
  get isOutOfSize(): boolean {
    return this.record.latest?.state === 'running' && !sameResources(this.record.applied, this.resources);
  }

  /** What it has been given, with what it has of its pod. */
  get resources(): ResourceRequirements {
    return withPodLimits(this.container.resources, this.context.pod.spec.resources);
  }

  /** Gives the run its new resources. */
  async resize(): Promise<void> {
    const { record, container, deps } = this;
    const run = record.latest;
    if (run?.state !== 'running') return;
    const limits = containerLimits(container, this.context.pod.spec.resources);
    const { ownCpus, ...cpus } = this.#cpus();
    await deps.runtime.updateLimits(run.id, { ...(ownCpus ? withoutQuota(limits) : limits), ...cpus });
    this.#applied();
  }

  #applied(): void {
    this.record.resources = this.container.resources ?? {};
    this.record.applied = this.resources;
  }

  /** Its resize policy wants a new run for its new resources. */
  restartForResize(): void {
    this.#startAgain(`Container ${this.container.name} resize requires restart`);
  }

  /** The container as the pod has it now: another image takes a new run. */
  define(container: Container): void {
    const isOther = container.image !== this.container.image;
    this.container = container;
    if (!isOther) return;
    if (this.record.latest?.state === 'running')
      this.#startAgain(`Container ${container.name} definition changed, will be restarted`);
    else this.#image.set(undefined);
  }

  #startAgain(why: string): void {
    this.#health.unhealthy = why;
    this.record.again = true;
    this.context.changed();
  }

  /** All containers of the pod are to run again. */
  startOver(): void {
    const { record } = this;
    if (record.latest?.state !== 'exited') return;
    this.#stale = true;
    record.again = true;
  }

  /** The sandbox of the last run is gone. */
  sandboxGone(): void {
    this.#stale = true;
    this.#health.stop();
    const { latest } = this.record;
    if (latest?.state !== 'running') return;
    const now = this.deps.clock.now();
    this.record.latest = { ...latest, state: 'exited', exitCode: 137, finishedAt: now, pid: 0 };
    this.record.notes.set(latest.id, {
      reason: 'ContainerStatusUnknown',
      message: 'The container could not be located when the pod was terminated',
    });
  }

  ensureImage(): Promise<void> {
    return this.#retryAt > this.deps.clock.elapsed() ? Promise.resolve() : this.#image.ensure();
  }

  async start(): Promise<void> {
    const { clock } = this.deps;
    const { latest } = this.record;
    this.#operation = 'starting';
    this.#health.unhealthy = undefined;
    const now = clock.now();
    if (latest) this.#backoff.next(latest, now);
    try {
      await this.#start(latest ? this.record.restartCount + 1 : this.record.restartCount);
    } catch (error) {
      this.#startFailed(error);
    } finally {
      this.#operation = undefined;
    }
  }

  /** Ends the run. */
  async stop(reason: string, graceMs: number): Promise<void> {
    const { record, container, context, deps } = this;
    const run = record.latest;
    if (run?.state !== 'running') return;
    this.#operation = 'stopping';
    this.#health.ending();
    deps.event(context.pod, container, 'Normal', 'Killing', reason || `Stopping container ${container.name}`);
    crashPoint('stop begun');
    const stopping = new ContainerStop(run.id, deps);
    this.#stopping = stopping;
    try {
      const ended = await stopping.run({
        graceMs,
        signal: container.lifecycle?.stopSignal ?? (this.#image.image?.config.stopSignal || 'SIGTERM'),
        preStop: (signal) => this.#health.preStop(run.id, signal),
        withdrawn: context.terminating && graceMs > 0 ? deps.withdrawn(context.pod) : undefined,
      });
      if (record.latest === run && ended.state === 'exited') this.#ended(ended);
    } catch (error) {
      deps.logger.warn({ err: error, container: container.name }, 'a container could not be stopped');
      await sleep(deps.clock, STOP_RETRY_MS);
    } finally {
      this.#stopping = undefined;
      this.#operation = undefined;
    }
  }

  /** The pod is to end. */
  ending(): void {
    this.#health.abortStart();
  }

  /** The grace has become shorter while it ends. */
  hurry(graceMs: number): void {
    this.#stopping?.hurry(graceMs);
  }

  /** The runtime says that a run ended. */
  exited(status: ContainerStatus): void {
    if (this.record.latest?.id !== status.id || this.record.latest.state === 'exited') return;
    this.#ended(status);
    this.context.changed();
  }

  close(): void {
    this.#health.stop();
    for (const cancel of this.#cancels) cancel();
  }

  async #start(attempt: number): Promise<void> {
    const { deps, container, context, record } = this;
    const { pod } = context;
    if (attempt > 0 || !this.#image.image) await this.#image.pull();
    const prepared = await this.#prepare(attempt);
    record.restartCount = attempt;
    this.#applied();
    const { id } = prepared.config;
    deps.event(pod, container, 'Normal', 'Created', 'Container created');
    try {
      const started = await deps.runtime.startContainer(prepared.config);
      // It may have ended already, and the news of that may have come first.
      const fresh = deps.runtime.sandbox(pod.metadata.uid!)?.containers.find((c) => c.id === id) ?? started;
      await this.#replace({ ...fresh, state: 'running' }, prepared);
      deps.event(pod, container, 'Normal', 'Started', 'Container started');
      this.#health.watch(record.latest!, false, false);
      if (fresh.state === 'exited') return this.#ended(fresh);
    } catch (error) {
      if (error instanceof RuntimeError && error.code === 'StartFailed')
        return this.#neverRan(id, error, prepared);
      throw error;
    } finally {
      for (const target of prepared.staged) await unstage(target);
    }
    await this.#health.postStart(id);
  }

  async #prepare(attempt: number): Promise<Prepared> {
    const { pod, podIPs, dir, volumes } = this.context;
    const { objects, facts, devices } = this.deps;
    const { namespace } = pod.metadata;
    return containerConfig({
      ...targetOf(this.container, (name) => this.context.record(name)),
      backoff: this.#backoff.save(),
      pod,
      container: this.container,
      attempt,
      image: this.#image.image!,
      dir,
      volumes,
      memoryCapacity: facts.memoryCapacity,
      ...this.#cpus(),
      domain: facts.domain,
      ...(await devices.prepare(pod, this.container)),
      env: {
        node: facts,
        podIPs,
        configMap: (name) => objects.get('configmaps', `${namespace}/${name}`),
        secret: (name) => objects.get('secrets', `${namespace}/${name}`),
        services: objects.list('services'),
      },
    });
  }

  /** Where it may run. */
  #cpus(): { cpus?: string; ownCpus: boolean } {
    const [uid, name] = [this.context.pod.metadata.uid!, this.container.name];
    const cpus = this.deps.cpus.of(uid, name);
    return { ...(cpus ? { cpus } : {}), ownCpus: this.deps.cpus.hasOwn(uid, name) };
  }

  /** The run before is kept for its status and log; those before it go. */
  async #replace(run: ContainerStatus, { user }: Prepared): Promise<void> {
    const { record } = this;
    const { uid, gid, supplementalGroups } = user;
    const old = record.last;
    if (record.latest) record.last = record.latest;
    record.latest = run;
    record.user = { uid, gid, supplementalGroups: [gid, ...supplementalGroups.filter((g) => g !== gid)] };
    record.waiting = undefined;
    record.again = false;
    this.#stale = false;
    this.#retryAt = 0;
    this.#image.retryAt = 0;
    if (old && old !== record.last) {
      record.notes.delete(old.id);
      this.deps.runtime
        .removeContainer(old.id)
        .then(() => removeLog(old.logPath))
        .catch(() => {});
    }
  }

  #ended(status: ContainerStatus): void {
    this.#health.stop();
    this.#health.unhealthy = undefined;
    Object.assign(this.record, { latest: status, ready: false, started: false });
    this.#note(status);
  }

  #note(run: ContainerStatus): void {
    const { container, context, record } = this;
    const message = terminationMessage(context.dir, container, run);
    if (message !== '') record.notes.set(run.id, { ...record.notes.get(run.id), message });
  }

  /** The command could not be executed: a run that ended before it began. */
  #neverRan(id: string, error: RuntimeError, prepared: Prepared): void {
    const { deps, record, container, context } = this;
    const { config } = prepared;
    const now = deps.clock.now();
    const run: ContainerStatus = {
      ...{
        id,
        sandboxId: config.sandboxId,
        name: config.name,
        attempt: config.attempt,
        imageId: config.imageId,
      },
      ...{ state: 'exited', pid: 0, createdAt: now, startedAt: 0, finishedAt: now, exitCode: error.exitCode },
      ...{ signal: 0, oomKilled: false, logPath: '', labels: {} },
    };
    record.notes.set(id, { reason: 'StartError', message: error.message });
    this.#replace(run, prepared);
    record.waiting = { reason: 'RunContainerError', message: error.message };
    deps.event(context.pod, container, 'Warning', 'Failed', `Error: ${error.message}`);
  }

  #startFailed(error: unknown): void {
    const { deps, record, container, context } = this;
    if (error instanceof ImageUnavailable) {
      this.#image.failed(error);
      return;
    }
    const message = error instanceof Error ? error.message : String(error);
    const config = error instanceof ConfigError;
    if (error instanceof RuntimeError && error.code === 'ImageMissing') this.#image.set(undefined);
    record.waiting = { reason: config ? 'CreateContainerConfigError' : 'CreateContainerError', message };
    deps.event(context.pod, container, 'Warning', 'Failed', `Error: ${message}`);
    this.#blocked = config && !error.isTransient;
    if (this.#blocked) return;
    this.#retryAt = deps.clock.elapsed() + CREATE_RETRY_MS;
    deps.logger.warn({ err: error, container: container.name }, 'a container could not be started');
  }

  /** It waits to start again: tells so, once, where its own ends are the reason. */
  backsOff(now: number): void {
    const { deps, record, container, context } = this;
    const { latest } = record;
    const until = latest?.state === 'exited' ? this.#backoff.notBefore(latest, now) : 0;
    const delay = until > now ? this.#backoff.untold(until) : undefined;
    if (delay === undefined) return;
    const { name, namespace, uid } = context.pod.metadata;
    const pod = `${name}_${namespace}(${uid})`;
    record.waiting = {
      reason: 'CrashLoopBackOff',
      message: `back-off ${delay} restarting failed container=${container.name} pod=${pod}`,
    };
    deps.event(
      context.pod,
      container,
      'Warning',
      'BackOff',
      `Back-off restarting failed container ${container.name} in pod ${pod}`,
    );
  }

  after(ms: number, work: () => void): void {
    const cancel = this.deps.clock.after(Math.max(0, ms), () => {
      this.#cancels.delete(cancel);
      work();
    });
    this.#cancels.add(cancel);
  }
}

async function unstage(target: string): Promise<void> {
  await native.umount(target, MNT_DETACH).catch(() => {});
  await rm(target, { recursive: true, force: true });
}
