/** One container of a pod: its runs, hooks and probes, and the record that its status is made of. */
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { Container, Pod } from '#types';
import { sleep } from '../../client/retry.js';
import { crashPoint } from '../../runtime/crash-points.js';
import { native } from '../../runtime/native.js';
import { type ContainerStatus, type Image, RuntimeError } from '../../runtime/types.js';
import { removeLog } from '../logs/rotation.js';
import { logTail } from '../logs/tail.js';
import { goDuration, KeyedBackoff } from './backoff.js';
import { containerConfig, type Prepared, terminationLog } from './container-config.js';
import { ConfigError } from './env.js';
import { targetOf } from './ephemeral.js';
import type { HandlerTarget } from './handlers.js';
import { runHook } from './hooks.js';
import { ImageUnavailable } from './image-puller.js';
import type { ContainerView } from './next-actions.js';
import { ContainerProbes, hasProbe, type ProbeKind } from './probes.js';
import { sameResources } from './resize.js';
import { containerLimits } from './resources.js';
import type { ContainerRecord } from './status.js';
import { USER_AGENT, type WorkerDeps } from './worker-deps.js';

/** How long a container may always take to end, whatever its grace. */
const MIN_GRACE_MS = 2000;
/** What could not be stopped is tried again after this. */
const STOP_RETRY_MS = 1000;
const MNT_DETACH = 2;
const MAX_MESSAGE = 4096;
const FALLBACK_LINES = 80;
const FALLBACK_BYTES = 2048;
/** A container that could not be made is tried again after this. */
const CREATE_RETRY_MS = 10_000;
/** ErrImagePull becomes ImagePullBackOff when it has been seen for a while. */
const PULL_BACKOFF_SHOWN_MS = 2000;

/** What a container needs of its pod. */
export interface PodContext {
  readonly pod: Pod;
  readonly podIP: string;
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
  #image: Image | undefined;
  #operation: 'starting' | 'stopping' | undefined;
  #pulling = false;
  #retryAt = 0;
  #blocked = false;
  #unhealthy: string | undefined;
  /** It is to start again, whatever its restart policy says. */
  #again = false;
  #probes: ContainerProbes | undefined;
  #sandboxGone = false;
  #hooked = true;
  /** Aborts a hook that the end of the pod should not wait for. */
  readonly #starting = new AbortController();
  #stopping: AbortController | undefined;
  #killBy: (() => void) | undefined;
  #backoffTold = 0;
  #end: { id: string; at: number } | undefined;
  readonly #backoff = new KeyedBackoff();
  readonly #cancels = new Set<() => void>();

  constructor(
    /** With the resources that it has been given. */
    public container: Container,
    private readonly context: PodContext,
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
  }

  /** What decisions are made of. Tells the back-off that it finds. */
  view(now: number): ContainerView {
    const { latest } = this.record;
    const state = this.#operation ?? (latest?.state === 'running' ? 'running' : latest ? 'exited' : 'none');
    const ended = latest?.state === 'exited';
    const restartAt = ended ? this.#backoff.notBefore('', this.#endOf(latest, now)) : 0;
    const notBefore = Math.max(restartAt, this.#retryAt);
    if (ended && restartAt > now && !this.context.terminating) this.#tellBackOff(restartAt);
    return {
      state,
      exitCode: latest?.exitCode ?? 0,
      stale: this.#sandboxGone && ended,
      notBefore,
      image: this.#image !== undefined,
      started: this.record.started && this.#hooked,
      ...(this.#unhealthy ? { unhealthy: this.#unhealthy } : {}),
      blocked: this.#blocked,
      again: this.#again,
    };
  }

  /** When the run ended, by the clock as it is now: after a step back, an end in the future counts as one of now. */
  #endOf(run: ContainerStatus, now: number): number {
    if (this.#end?.id !== run.id) this.#end = { id: run.id, at: run.finishedAt };
    this.#end.at = Math.min(this.#end.at, now);
    return this.#end.at;
  }

  /** Goes on with what an earlier agent has started. */
  adopt(runs: ContainerStatus[]): void {
    const sorted = runs.toSorted((a, b) => a.attempt - b.attempt);
    this.record.last = sorted.at(-2);
    this.record.latest = sorted.at(-1);
    const { latest } = this.record;
    if (!latest) return;
    this.record.restartCount = latest.attempt;
    this.#backoff.restore('', latest.labels['backoff'] ?? '');
    this.#setImage(this.deps.images.get(latest.imageId));
    for (const run of sorted) if (run.state === 'exited') this.#note(run);
    const told = this.context.pod.status;
    const before = [...(told?.containerStatuses ?? []), ...(told?.initContainerStatuses ?? [])].find(
      (status) => status.name === this.container.name,
    );
    this.record.user = before?.user?.linux as ContainerRecord['user'];
    this.record.resources = before?.resources ?? {};
    if (latest.state === 'running') this.#running(before?.started ?? false, before?.ready ?? false);
  }

  /** An object that the pod refers to has changed: what failed for want of it may work now. */
  unblock(): void {
    this.#blocked = false;
    this.#retryAt = 0;
  }

  /** The pod has other labels or annotations, of which its environment and paths may be made. */
  metadataChanged(): void {
    if (this.#blocked) this.unblock();
  }

  /** Whether it runs with other resources than it has been given. */
  get isOutOfSize(): boolean {
    const { latest, resources } = this.record;
    return latest?.state === 'running' && !sameResources(resources, this.container.resources);
  }

  /** Gives the run its new resources. */
  async resize(): Promise<void> {
    const { record, container, deps } = this;
    const run = record.latest;
    if (run?.state !== 'running') return;
    await deps.runtime.updateLimits(run.id, containerLimits(container, this.context.pod.spec.resources));
    record.resources = container.resources ?? {};
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
    else this.#image = undefined;
  }

  #startAgain(why: string): void {
    this.#unhealthy = why;
    this.#again = true;
    this.context.changed();
  }

  /** The sandbox of the last run is gone. */
  sandboxGone(): void {
    this.#sandboxGone = true;
    this.#stopProbes();
    const { latest } = this.record;
    if (latest?.state !== 'running') return;
    const now = this.deps.clock.now();
    this.record.latest = { ...latest, state: 'exited', exitCode: 137, finishedAt: now, pid: 0 };
    this.record.notes.set(latest.id, {
      reason: 'ContainerStatusUnknown',
      message: 'The container could not be located when the pod was terminated',
    });
  }

  async ensureImage(): Promise<void> {
    if (this.#pulling || this.#image || this.deps.clock.now() < this.#retryAt) return;
    this.#pulling = true;
    try {
      this.#setImage(await this.deps.puller.ensure(this.context.pod, this.container));
      this.#retryAt = 0;
      if (!this.record.latest) this.record.waiting = undefined;
    } catch (error) {
      this.#pullFailed(error);
    } finally {
      this.#pulling = false;
    }
  }

  async start(): Promise<void> {
    const { clock } = this.deps;
    const { latest } = this.record;
    this.#operation = 'starting';
    this.#unhealthy = undefined;
    const now = clock.now();
    if (latest) this.#backoff.next('', this.#endOf(latest, now), now);
    try {
      await this.#start(latest ? this.record.restartCount + 1 : this.record.restartCount);
    } catch (error) {
      this.#startFailed(error);
    } finally {
      this.#operation = undefined;
    }
  }

  /** Ends the run: hook, signal, grace, SIGKILL. */
  async stop(reason: string, graceMs: number): Promise<void> {
    const { record, container, context, deps } = this;
    const run = record.latest;
    if (run?.state !== 'running') return;
    this.#operation = 'stopping';
    this.#stopProbes();
    record.ready = false;
    deps.event(context.pod, container, 'Normal', 'Killing', reason || `Stopping container ${container.name}`);
    crashPoint('stop begun');
    const begun = deps.clock.now();
    this.#stopping = new AbortController();
    const deadline = deps.clock.after(graceMs, () => this.#stopping?.abort());
    try {
      const hook = container.lifecycle?.preStop;
      const withdrawn = context.terminating && graceMs > 0 ? deps.withdrawn(context.pod) : undefined;
      if (hook && graceMs > 0) await this.#preStop(hook, run.id);
      crashPoint('preStop run');
      await withdrawn;
      const left = Math.max(graceMs - (deps.clock.now() - begun), MIN_GRACE_MS);
      const signal = container.lifecycle?.stopSignal ?? (this.#image?.config.stopSignal || 'SIGTERM');
      const ended = await deps.runtime.stopContainer(run.id, signal, left);
      crashPoint('container ended');
      if (record.latest === run && ended.state === 'exited') this.#ended(ended);
    } catch (error) {
      deps.logger.warn({ err: error, container: container.name }, 'a container could not be stopped');
      await sleep(deps.clock, STOP_RETRY_MS);
    } finally {
      deadline();
      this.#killBy?.();
      this.#operation = undefined;
    }
  }

  /** The pod is to end. */
  ending(): void {
    this.#starting.abort();
  }

  /** The grace has become shorter while it ends. */
  hurry(graceMs: number): void {
    const run = this.record.latest;
    if (this.#operation !== 'stopping' || !run) return;
    this.#killBy?.();
    this.#killBy = this.deps.clock.after(graceMs, () => {
      this.#stopping?.abort();
      this.deps.runtime.stopContainer(run.id, 'SIGKILL', 0).catch(() => {});
    });
  }

  /** The runtime says that a run ended. */
  exited(status: ContainerStatus): void {
    if (this.record.latest?.id !== status.id || this.record.latest.state === 'exited') return;
    this.#ended(status);
    this.context.changed();
  }

  close(): void {
    this.#stopProbes();
    for (const cancel of this.#cancels) cancel();
  }

  async #start(attempt: number): Promise<void> {
    const { deps, container, context, record } = this;
    const { pod } = context;
    if (attempt > 0 || !this.#image) this.#setImage(await deps.puller.ensure(pod, container));
    const prepared = await this.#prepare(attempt);
    record.restartCount = attempt;
    this.#again = false;
    record.resources = container.resources ?? {};
    const { id } = prepared.config;
    deps.event(pod, container, 'Normal', 'Created', 'Container created');
    try {
      const started = await deps.runtime.startContainer(prepared.config);
      // It may have ended already, and the news of that may have come first.
      const fresh = deps.runtime.sandbox(pod.metadata.uid!)?.containers.find((c) => c.id === id) ?? started;
      await this.#replace({ ...fresh, state: 'running' }, prepared);
      deps.event(pod, container, 'Normal', 'Started', 'Container started');
      this.#running(false, false);
      if (fresh.state === 'exited') return this.#ended(fresh);
    } catch (error) {
      if (error instanceof RuntimeError && error.code === 'StartFailed')
        return this.#neverRan(id, error, prepared);
      throw error;
    } finally {
      for (const target of prepared.staged) await unstage(target);
    }
    await this.#postStart(id);
  }

  #prepare(attempt: number): Promise<Prepared> {
    const { pod, podIP, dir, volumes } = this.context;
    const { objects, facts } = this.deps;
    const { namespace } = pod.metadata;
    return containerConfig({
      ...targetOf(this.container, (name) => this.context.record(name)),
      backoff: this.#backoff.save(''),
      pod,
      container: this.container,
      attempt,
      image: this.#image!,
      dir,
      volumes,
      memoryCapacity: facts.memoryCapacity,
      domain: facts.domain,
      env: {
        node: facts,
        podIP,
        configMap: (name) => objects.get('configmaps', `${namespace}/${name}`),
        secret: (name) => objects.get('secrets', `${namespace}/${name}`),
        services: objects.list('services'),
      },
    });
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
    this.#sandboxGone = false;
    this.#retryAt = 0;
    if (old && old !== record.last) {
      record.notes.delete(old.id);
      this.deps.runtime
        .removeContainer(old.id)
        .then(() => removeLog(old.logPath))
        .catch(() => {});
    }
  }

  #running(started: boolean, ready: boolean): void {
    const { container, context, deps, record } = this;
    const run = record.latest!;
    record.started = started || !hasProbe(container, 'startup');
    record.ready = record.started && (ready || !hasProbe(container, 'readiness'));
    this.#stopProbes();
    if (!(['startup', 'liveness', 'readiness'] as const).some((kind) => hasProbe(container, kind))) return;
    this.#probes = new ContainerProbes({
      pod: context.pod,
      target: this.#target(run.id),
      clock: deps.clock,
      startedAt: run.startedAt,
      started: record.started,
      userAgent: USER_AGENT,
      changed: (kind, ok) => this.#probed(kind, ok),
      unhealthy: (message) => deps.event(context.pod, container, 'Warning', 'Unhealthy', message),
    });
  }

  #probed(kind: ProbeKind, ok: boolean): void {
    const { record, container } = this;
    if (kind === 'readiness') {
      if (record.ready === ok) return;
      record.ready = ok;
    } else if (ok) {
      if (kind === 'liveness') return;
      record.started = true;
      record.ready = !hasProbe(container, 'readiness');
    } else this.#unhealthy = `Container ${container.name} failed ${kind} probe, will be restarted`;
    this.context.changed();
  }

  async #postStart(id: string): Promise<void> {
    const hook = this.container.lifecycle?.postStart;
    if (!hook) return;
    const { deps, context, container } = this;
    this.#hooked = false;
    context.changed();
    try {
      await runHook('PostStart', hook, this.#target(id), deps.clock, USER_AGENT, this.#starting.signal);
    } catch (error) {
      deps.event(context.pod, container, 'Warning', 'FailedPostStartHook', (error as Error).message);
      this.#unhealthy = 'FailedPostStartHook';
    }
    crashPoint('postStart run');
    this.#hooked = true;
  }

  async #preStop(
    hook: NonNullable<NonNullable<Container['lifecycle']>['preStop']>,
    id: string,
  ): Promise<void> {
    const { deps, context, container } = this;
    try {
      await runHook('PreStop', hook, this.#target(id), deps.clock, USER_AGENT, this.#stopping!.signal);
    } catch (error) {
      deps.event(context.pod, container, 'Warning', 'FailedPreStopHook', (error as Error).message);
    }
  }

  #target(id: string): HandlerTarget {
    const { deps, container, context } = this;
    return {
      ...{ runtime: deps.runtime, container, id },
      // Of a pod that an earlier agent left it is known only once the network is set up.
      get podIP() {
        return context.podIP;
      },
    };
  }

  #ended(status: ContainerStatus): void {
    this.#stopProbes();
    this.#unhealthy = undefined;
    Object.assign(this.record, { latest: status, ready: false, started: false });
    this.#note(status);
  }

  /** The run's own message, or the end of its log where the container wants that. */
  #note(run: ContainerStatus): void {
    const { container, context, record } = this;
    let message = '';
    try {
      message = readFileSync(terminationLog(context.dir, container.name, run.id))
        .subarray(0, MAX_MESSAGE)
        .toString();
    } catch {
      // It has no such file.
    }
    const fallback = container.terminationMessagePolicy === 'FallbackToLogsOnError';
    if (message === '' && fallback && run.exitCode !== 0)
      message = logTail(run.logPath, FALLBACK_LINES, FALLBACK_BYTES);
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
      this.#pullFailed(error);
      return;
    }
    const message = error instanceof Error ? error.message : String(error);
    const config = error instanceof ConfigError;
    record.waiting = { reason: config ? 'CreateContainerConfigError' : 'CreateContainerError', message };
    deps.event(context.pod, container, 'Warning', 'Failed', `Error: ${message}`);
    this.#blocked = config;
    if (config) return;
    this.#retryAt = deps.clock.now() + CREATE_RETRY_MS;
    deps.logger.warn({ err: error, container: container.name }, 'a container could not be started');
  }

  #pullFailed(error: unknown): void {
    const { deps, record, container, context } = this;
    const { reason, message, retryAt } =
      error instanceof ImageUnavailable
        ? error
        : {
            reason: 'ErrImagePull',
            message: (error as Error).message,
            retryAt: deps.clock.now() + CREATE_RETRY_MS,
          };
    record.waiting = { reason, message };
    this.#retryAt = retryAt ?? Number.POSITIVE_INFINITY;
    if (retryAt === undefined) return;
    this.#after(Math.min(PULL_BACKOFF_SHOWN_MS, retryAt - deps.clock.now()), () => {
      if (record.waiting?.reason !== 'ErrImagePull' || context.terminating) return;
      const backOff = deps.puller.backOff(context.pod, container);
      record.waiting = { reason: backOff.reason, message: backOff.message };
      context.changed();
    });
    this.#after(retryAt - deps.clock.now(), () => context.changed());
  }

  #tellBackOff(until: number): void {
    const { deps, record, container, context } = this;
    if (this.#backoffTold === until) return;
    this.#backoffTold = until;
    const { name, namespace, uid } = context.pod.metadata;
    const pod = `${name}_${namespace}(${uid})`;
    const delay = goDuration(this.#backoff.delay(''));
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

  #setImage(image: Image | undefined): void {
    this.#image = image;
    if (!image) return;
    this.record.imageName = image.tags[0] ?? image.digests[0] ?? this.container.image ?? '';
    this.record.imageId = image.digests[0] ?? image.id;
  }

  #stopProbes(): void {
    this.#probes?.stop();
    this.#probes = undefined;
  }

  #after(ms: number, work: () => void): void {
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
