/** One pod's resize: from what the API asks for, by what the node gives, to what its groups have. */
import type { Pod, PodCondition, ResourceRequirements } from '#types';
import { type Limits, RuntimeError } from '../../runtime/types.js';
import type { ResizeRefusal } from './admission.js';
import type { ContainerRunner } from './container-runner.js';
import {
  type Allocation,
  allocationOf,
  needsRestart,
  resizeMessage,
  sameResources,
  widest,
  withAllocation,
} from './resize.js';
import { containerLimits, podLimits } from './resources.js';
import type { WorkerDeps } from './worker-deps.js';

type Condition = Pick<PodCondition, 'type' | 'status' | 'reason' | 'message' | 'observedGeneration'>;

export class Resizer {
  allocation: Allocation;
  /** What the pod as a whole has in fact. */
  #ofPod: ResourceRequirements | undefined;
  /** Why what is asked for can't be given (yet). */
  #pending: (ResizeRefusal & { generation: number }) | undefined;
  #inProgress: { generation: number; error: string } | undefined;

  constructor(
    pod: Pod,
    private readonly deps: Pick<WorkerDeps, 'event' | 'runtime'>,
    private readonly admit: (desired: Pod) => ResizeRefusal | undefined,
    saved?: Allocation,
  ) {
    this.allocation = saved ?? allocationOf(pod);
    this.#ofPod = (saved && pod.status?.resources) ?? this.allocation.pod;
  }

  get ofPod(): ResourceRequirements | undefined {
    return this.#ofPod;
  }

  get isDeferred(): boolean {
    return this.#pending?.reason === 'Deferred';
  }

  get isInProgress(): boolean {
    return this.#inProgress !== undefined;
  }

  get conditions(): Condition[] {
    const { generation, reason, message } = this.#pending ?? {};
    const pending: Condition = {
      type: 'PodResizePending',
      status: 'True',
      reason,
      message,
      observedGeneration: generation,
    };
    const { error = '', generation: observed } = this.#inProgress ?? {};
    const progress: Condition = {
      ...{ type: 'PodResizeInProgress', status: 'True', observedGeneration: observed },
      ...(error ? { reason: 'Error', message: error } : {}),
    };
    return [...(this.#pending ? [pending] : []), ...(this.#inProgress ? [progress] : [])];
  }

  /** The pod with what it has been given; asks the node for more if the API does. */
  settle(desired: Pod): Pod {
    const given = withAllocation(desired, this.allocation);
    const generation = desired.metadata.generation ?? 0;
    if (given === desired) {
      this.#pending = undefined;
      return desired;
    }
    const refusal = this.admit(desired);
    if (!refusal) {
      this.allocation = allocationOf(desired);
      this.#pending = undefined;
      this.#inProgress = { generation, error: '' };
      this.deps.event(desired, undefined, 'Normal', 'ResizeStarted', resizeMessage('started', desired));
      return desired;
    }
    const { reason, message } = refusal;
    const before = this.#pending;
    this.#pending = { ...refusal, generation };
    if (before?.reason !== reason || before.message !== message || before.generation !== generation)
      this.deps.event(
        ...[desired, undefined, 'Warning' as const, `Resize${reason}`],
        resizeMessage(reason, desired, message),
      );
    return given;
  }

  /** An earlier agent may not have come to the end of it. */
  resume(pod: Pod, runners: Iterable<ContainerRunner>): void {
    if (this.#isOutOfSize(pod, runners))
      this.#inProgress ??= { generation: pod.metadata.generation ?? 0, error: '' };
  }

  #isOutOfSize(pod: Pod, runners: Iterable<ContainerRunner>): boolean {
    return (
      !sameResources(this.#ofPod, pod.spec.resources) || [...runners].some((runner) => runner.isOutOfSize)
    );
  }

  /** Gives the running containers what the pod has been given; those that must start again are told to. */
  async actuate(pod: Pod, runners: ContainerRunner[]): Promise<void> {
    const waiting = runners.filter((runner) => runner.isOutOfSize);
    try {
      await this.#resize(pod, waiting);
    } catch (error) {
      const { message } = error as Error;
      if (this.#inProgress && this.#inProgress.error !== message) {
        this.#inProgress = { ...this.#inProgress, error: message };
        this.deps.event(pod, undefined, 'Warning', 'ResizeError', resizeMessage('error', pod, message));
      }
      throw error;
    }
    if (!this.#inProgress || this.#isOutOfSize(pod, runners)) return;
    this.#inProgress = undefined;
    this.deps.event(pod, undefined, 'Normal', 'ResizeCompleted', resizeMessage('completed', pod));
  }

  async #resize(pod: Pod, waiting: ContainerRunner[]): Promise<void> {
    const { runtime } = this.deps;
    const uid = pod.metadata.uid!;
    const sandbox = runtime.sandbox(uid);
    if (!sandbox?.alive) return;
    const before = sandbox.limits ?? {};
    const wanted = { ...podLimits(pod), ...(before.pids === undefined ? {} : { pids: before.pids }) };
    await this.#checkMemory('pod', uid, before, wanted);
    const inPlace = waiting.filter(
      ({ container, record, resources }) => !needsRestart(container, resources, record.applied),
    );
    for (const { container, record, resources } of inPlace)
      await this.#checkMemory(
        `container "${container.name}"`,
        record.latest!.id,
        containerLimits({ ...container, resources: record.applied }),
        containerLimits({ ...container, resources }),
      );
    // The pod's group is never narrower than its containers'.
    if (JSON.stringify(before) !== JSON.stringify(wanted))
      await runtime.updateLimits(uid, widest(before, wanted));
    for (const runner of inPlace) await runner.resize();
    for (const runner of waiting) if (!inPlace.includes(runner)) runner.restartForResize();
    if (waiting.length !== inPlace.length) return;
    await runtime.updateLimits(uid, wanted);
    this.#ofPod = pod.spec.resources;
  }

  /** A limit below what is in use would have the kernel kill, or is refused by it. */
  async #checkMemory(what: string, id: string, before: Limits, wanted: Limits): Promise<void> {
    if (wanted.memory === undefined || wanted.memory >= (before.memory ?? Number.POSITIVE_INFINITY)) return;
    const { memoryBytes } = await this.deps.runtime.stats(id);
    if (memoryBytes >= wanted.memory)
      throw new RuntimeError(
        'Invalid',
        `attempting to set ${what} memory limit (${wanted.memory}) below current usage (${memoryBytes})`,
      );
  }
}
