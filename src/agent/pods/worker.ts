/** One pod: compares what is wanted with what there is, and does what comes next, one operation of a kind at a time. */
import { join } from 'node:path';
import type { Container, Pod, Volume } from '#types';
import { crashPoint } from '../../runtime/crash-points.js';
import type { ContainerStatus } from '../../runtime/types.js';
import type { Rejection, ResizeRefusal } from './admission.js';
import type { ContainerRunner, PodContext } from './container-runner.js';
import { type Action, isComplete, nextActions, type PodView } from './next-actions.js';
import { Operations } from './operations.js';
import { PodContainers } from './pod-containers.js';
import { PodEnd, type PodFailure } from './pod-end.js';
import { PodReport } from './pod-report.js';
import { PodSandbox } from './pod-sandbox.js';
import { PodStorage } from './pod-storage.js';
import { takeDown } from './pod-teardown.js';
import { type Allocation, withAllocation } from './resize.js';
import { Resizer } from './resizer.js';
import type { ContainerRecord } from './status.js';
import type { WorkerDeps } from './worker-deps.js';

/** What a worker needs to know of the other pods of the node. */
export interface WorkerHost {
  /** Undefined: it may have the resources that it asks for. */
  admitResize(desired: Pod): ResizeRefusal | undefined;
  /** It has given back some of the node. */
  freed(): void;
  /** Its groups are there. */
  started(): void;
  /** What an earlier agent gave it. */
  allocation?: Allocation;
}

export class PodWorker implements PodContext {
  readonly dir: string;
  /** With the resources that it has been given. */
  pod: Pod;
  /** As the API has it: it may ask for more than `pod` has been given. */
  #desired: Pod;
  readonly #resizer: Resizer;
  readonly #host: WorkerHost;
  readonly #deps: WorkerDeps;
  readonly #containers: PodContainers;
  readonly #operations: Operations;
  readonly #storage: PodStorage;
  readonly #sandbox: PodSandbox;
  readonly #end = new PodEnd(this);
  readonly #report: PodReport;
  /** The node has given it the devices that it asks for. */
  #admitted = false;
  /** Resolves when it has ended for good, and that was told. */
  readonly finished: Promise<void>;
  #resolveFinished = () => {};
  #finished = false;
  /** Its containers have ended for good, which the API is told at once: others may take its place. */
  #isOver = false;
  #closed = false;
  #wake: (() => void) | undefined;
  #scheduled = false;

  constructor(
    pod: Pod,
    deps: WorkerDeps,
    host: WorkerHost = { admitResize: () => undefined, freed() {}, started() {} },
  ) {
    this.#desired = pod;
    this.#deps = deps;
    this.finished = new Promise((resolve) => {
      this.#resolveFinished = resolve;
    });
    this.#host = host;
    this.#resizer = new Resizer(pod, deps, host.admitResize, host.allocation);
    this.pod = withAllocation(pod, this.#resizer.allocation);
    this.dir = join(deps.podsDir, pod.metadata.uid!);
    this.#operations = new Operations({
      clock: deps.clock,
      settled: () => this.changed(),
      failed: (name, err) => deps.logger.error({ err, pod: pod.metadata.name }, `${name} failed`),
    });
    this.#storage = new PodStorage(this, deps, this.#operations);
    this.#sandbox = new PodSandbox(deps, this.dir);
    this.#report = new PodReport(this, deps, this.#operations);
    this.#containers = new PodContainers(this, deps);
    this.#containers.add(this.pod);
    const phase = pod.status?.phase;
    this.#finished =
      (phase === 'Succeeded' || phase === 'Failed') &&
      !this.#end.isDeleted &&
      !deps.runtime.sandbox(pod.metadata.uid!);
    this.#adopt();
  }

  /** Whether what it asks of the node counts: as the scheduler counts, not once the API has forgotten it. */
  get isActive(): boolean {
    return !this.#end.forgotten && !this.#finished && !this.#isOver;
  }

  get terminating(): boolean {
    return this.#end.terminating;
  }

  get volumes(): Map<string, string> {
    return this.#storage.paths;
  }

  /** What the driver of a volume says of its use; undefined where it says nothing. */
  volumeUsage(volume: Volume): ReturnType<PodStorage['usage']> {
    return this.#storage.usage(volume);
  }

  get podIPs(): string[] {
    return this.#sandbox.ips;
  }

  /** What is known of a container; undefined if the pod has none of that name. */
  record(container: string): ContainerRecord | undefined {
    return this.#containers.get(container)?.record;
  }

  /** Begins to work. */
  start(): void {
    this.#settleSize();
    this.#resizer.resume(this.pod, this.#containers);
    this.#report.save();
    this.#checkDeadline();
    this.changed();
    crashPoint('pod admitted');
  }

  /** The API has a new version of the pod. */
  update(pod: Pod): void {
    const before = this.pod;
    this.#desired = pod;
    this.#settleSize();
    const deleted = pod.metadata.deletionTimestamp !== undefined;
    if (deleted && before.metadata.deletionGracePeriodSeconds !== pod.metadata.deletionGracePeriodSeconds) {
      this.#ending();
      this.#report.save();
    }
    const shown = ({ metadata }: Pod) => JSON.stringify([metadata.labels, metadata.annotations]);
    if (shown(before) !== shown(pod)) {
      this.#storage.refresh();
      for (const runner of this.#containers) runner.metadataChanged();
      this.#deps.network.policies.podChanged(pod.metadata.uid!, pod);
    }
    if (pod.spec.ephemeralContainers?.length !== before.spec.ephemeralContainers?.length) {
      this.#containers.add(this.pod);
      this.#report.save();
    }
    if (before.spec.activeDeadlineSeconds !== pod.spec.activeDeadlineSeconds) this.#checkDeadline();
    this.changed();
  }

  /** Whether it waits for room to grow. */
  get resizeDeferred(): boolean {
    return this.isActive && this.#resizer.isDeferred;
  }

  /** As the API has it. */
  get desired(): Pod {
    return this.#desired;
  }

  get allocation(): Allocation {
    return this.#resizer.allocation;
  }

  /** There may be room for it now. */
  retryResize(): void {
    this.#settleSize();
    this.changed();
  }

  #settleSize(): void {
    const before = this.#resizer.allocation;
    this.pod =
      this.isActive && !this.terminating
        ? this.#resizer.settle(this.#desired)
        : withAllocation(this.#desired, before);
    this.#containers.define(this.pod);
    if (before === this.#resizer.allocation) return;
    // A size that failed before is not waited for.
    this.#operations.endPause('resize');
    this.#report.save();
    this.#host.freed();
  }

  /** The pod is not in the API any more. */
  forget(): void {
    if (this.#end.forgotten) return;
    this.#end.forgotten = true;
    this.#ending();
    this.changed();
  }

  /** A ConfigMap, Secret or such that the pod refers to has changed. */
  referenceChanged(): void {
    for (const runner of this.#containers) runner.unblock();
    if (!this.#storage.retry()) this.#storage.refresh();
    this.changed();
  }

  /** The node can't keep it: all its containers end and it fails. */
  fail(failure: PodFailure, graceSeconds: number): void {
    if (this.terminating || this.#finished) return;
    this.#end.fail(failure, graceSeconds);
    this.#ending();
    this.changed();
  }

  /** A claim, a volume or the like has changed: what waits for its volumes looks again. */
  storageChanged(): void {
    if (this.#storage.retry()) this.changed();
    else this.#storage.grow();
  }

  exited(status: ContainerStatus): void {
    this.#containers.exited(status);
  }

  /** The shim is gone, and all that ran under it. */
  sandboxGone(): void {
    if (this.#sandbox.state !== 'ready') return;
    this.#sandbox.state = 'dead';
    this.#containers.sandboxGone();
    this.changed();
  }

  /** Stops watching the pod; what runs goes on. Resolves when nothing of it is being written. */
  close(): Promise<void> {
    this.#closed = true;
    this.#wake?.();
    this.#storage.close();
    this.#operations.close();
    for (const runner of this.#containers) runner.close();
    return this.#report.end();
  }

  /** Looks what is next, once for all changes of this turn of the event loop. */
  changed(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#step();
    });
  }

  #adopt(): void {
    const sandbox = this.#deps.runtime.sandbox(this.pod.metadata.uid!);
    this.#admitted = sandbox !== undefined;
    // One that no container was started in may lack its network and files: it is made anew as far as it is not there.
    if (!sandbox || (sandbox.alive && sandbox.containers.length === 0)) return;
    this.#containers.adopt(sandbox);
    this.#sandbox.adopt(this.pod, sandbox);
    if (sandbox.alive && !this.pod.spec.hostNetwork)
      this.#operations.run('reattach', () => this.#sandbox.reattach(this.pod, sandbox.netns));
  }

  #view(now: number): PodView {
    const busy = this.#operations;
    return {
      pod: this.pod,
      sandbox: busy.has('createSandbox')
        ? 'creating'
        : busy.has('removeSandbox')
          ? 'removing'
          : this.#sandbox.state,
      volumes: busy.has('mountVolumes') ? 'mounting' : this.#storage.state,
      containers: this.#containers.views(now),
      terminating: this.terminating,
    };
  }

  #step(): void {
    if (this.#closed) return;
    const now = this.#deps.clock.now();
    const view = this.#view(now);
    if (!this.#finished) {
      this.#wake?.();
      for (const action of nextActions(view, now)) this.#do(action, now);
    }
    if (this.#resizer.isInProgress && this.#sandbox.state === 'ready' && !this.terminating) this.#actuate();
    this.#tell(isComplete(view) || (this.terminating && this.#containers.areEnded));
  }

  /** Nothing to do while containers that must start again for it are on their way. */
  #actuate(): void {
    const runners = [...this.#containers];
    if (runners.some((runner) => runner.isOutOfSize && runner.view(0).again)) return;
    this.#operations.run('resize', async () => {
      await this.#resizer.actuate(this.pod, runners);
      this.#report.save();
    });
  }

  #do(action: Action, now: number): void {
    if (action.do === 'wait') {
      this.#runner(action.container).backsOff(now);
      this.#wake?.();
      this.#wake = this.#deps.clock.after(Math.max(0, action.until - now) + 1, () => this.changed());
      return;
    }
    const [name, work] = this.#operation(action);
    this.#operations.run(name, work);
  }

  /** Operations of one name never run side by side. */
  #operation(action: Exclude<Action, { do: 'wait' }>): [name: string, work: () => Promise<void>] {
    switch (action.do) {
      case 'createSandbox':
        return ['createSandbox', () => this.#createSandbox()];
      case 'removeSandbox':
        return ['removeSandbox', () => this.#sandbox.clear(this.pod)];
      case 'mountVolumes':
        return ['mountVolumes', () => this.#storage.mount()];
      case 'startOver':
        return ['startOver', async () => this.#containers.startOver(this.pod)];
      case 'finish':
        return ['finish', () => this.#finish()];
      case 'ensureImage':
        return [`image ${action.container.name}`, () => this.#runner(action.container).ensureImage()];
      case 'start':
        return [`container ${action.container.name}`, () => this.#runner(action.container).start()];
      case 'stop': {
        const { container, reason, graceMs } = action;
        const grace = graceMs ?? this.#end.grace(container, reason);
        return [`container ${container.name}`, () => this.#runner(container).stop(reason, grace)];
      }
    }
  }

  #runner(container: Container): ContainerRunner {
    return this.#containers.get(container.name)!;
  }

  async #createSandbox(): Promise<void> {
    const { pod } = this;
    if (!(await this.#admit())) return;
    try {
      await this.#deps.devices.prepareClaims(pod);
    } catch (error) {
      const message = `Failed to prepare dynamic resources: ${(error as Error).message}`;
      this.#deps.event(pod, undefined, 'Warning', 'FailedPrepareDynamicResources', message);
      await this.#operations.pause('sandbox');
      return;
    }
    try {
      await this.#sandbox.create(pod, () => this.#host.started());
      this.#operations.succeeded('sandbox');
    } catch (error) {
      const message = `Failed to create pod sandbox: ${(error as Error).message}`;
      this.#deps.event(pod, undefined, 'Warning', 'FailedCreatePodSandBox', message);
      await this.#deps.runtime.removeSandbox(pod.metadata.uid!).catch(() => {});
      await this.#operations.pause('sandbox');
    }
  }

  /** False: it can't have its devices, and fails for that. */
  async #admit(): Promise<boolean> {
    if (this.#admitted) return true;
    try {
      this.#deps.cpus.allocate(this.pod);
      await this.#deps.devices.admit(this.pod);
      this.#admitted = true;
    } catch (error) {
      const { reason, message } = error as Error & Rejection;
      this.#deps.event(this.pod, undefined, 'Warning', reason, message);
      this.#end.fail({ reason, message, isRejection: true });
      this.#ending();
    }
    return this.#admitted;
  }

  /** The pod is to end: nothing that failed before is waited for. */
  #ending(): void {
    this.#finished = false;
    this.#operations.endPauses();
    this.#containers.ending(this.pod.metadata.deletionGracePeriodSeconds);
  }

  /** `activeDeadlineSeconds`: the pod fails when it has been there so long. */
  #checkDeadline(): void {
    const seconds = this.pod.spec.activeDeadlineSeconds;
    if (seconds === undefined || this.terminating) return;
    this.#operations.after(this.#report.startTime + seconds * 1000 - this.#deps.clock.now(), () => {
      if (this.#finished || this.terminating || this.pod.spec.activeDeadlineSeconds !== seconds) return;
      const message = 'Pod was active on the node longer than the specified deadline';
      this.#end.fail({ reason: 'DeadlineExceeded', message });
      this.#deps.event(this.pod, undefined, 'Normal', 'DeadlineExceeded', message);
      this.changed();
    });
  }

  /** Everything has ended: tells so, and takes down what is left. */
  async #finish(): Promise<void> {
    // The end of the pod frees its devices for others, which may come to this node at once.
    await this.#deps.devices.unprepareClaims(this.pod.metadata.uid!);
    this.#tell(true);
    if (this.#end.isDeleted) await this.#report.end();
    const ended = { pod: this.pod, end: this.#end, sandbox: this.#sandbox, storage: this.#storage };
    if ((await takeDown(ended, this.#deps)) === 'kept') {
      // If it was deleted meanwhile, the next look goes on from here.
      this.#finished = !this.#end.isDeleted;
      if (this.#finished) this.#resolveFinished();
      return;
    }
    this.#finished = true;
    this.#resolveFinished();
    await this.close();
    this.#deps.gone(this.pod.metadata.uid!);
  }

  #tell(over: boolean): void {
    if (over && this.#deps.devices.holdsClaims(this.pod.metadata.uid!)) return;
    if (over && !this.#isOver) {
      this.#isOver = true;
      // Before the scheduler hears of it: it may send the next pod at once.
      this.#deps.devices.release(this.pod.metadata.uid!);
      this.#deps.cpus.release(this.pod.metadata.uid!);
      this.#host.freed();
    }
    if (this.#end.forgotten || this.#closed) return;
    if (this.#finished && !this.#report.isTold) return;
    const { failure } = this.#end;
    const sandboxReady = this.#sandbox.state === 'ready';
    const isNew = this.#report.tell({
      pod: this.pod,
      records: this.#containers.records,
      podIPs: this.podIPs,
      sandboxReady,
      over,
      ...(failure ? { failure } : {}),
      resources: this.#resizer.ofPod,
      resize: this.#resizer.conditions,
      devices: (container) => this.#deps.devices.health(this.pod, container),
    });
    // What is ready stays so while the agent is away.
    if (isNew && sandboxReady && !this.terminating) this.#report.save();
  }
}
