/** Looks what the machine runs out of, gives back what nobody uses, and then lets pods go, one at a look (kubelet `eviction`). */
import type { Logger } from 'pino';
import type { Pod } from '#types';
import type { Clock } from '../../../api/machinery/clock.js';
import type { Runtime } from '../../../runtime/types.js';
import { isCritical } from '../../pods/resources.js';
import type { PodWorker } from '../../pods/worker.js';
import { measure } from './measure.js';
import { diskExcess, type EvictionMessage, evictionMessage, hasDiskLimits, ranked } from './ranking.js';
import { EvictionState } from './state.js';
import {
  type EvictionSettings,
  type Observations,
  type Pressure,
  resourceOf,
  type Threshold,
} from './thresholds.js';

const INTERVAL_MS = 10_000;
/** What goes at once still gets so long. */
const IMMEDIATE_GRACE_S = 1;

export interface EvictionOptions {
  settings: EvictionSettings;
  runtime: Runtime;
  clock: Clock;
  logger: Logger;
  pods(): PodWorker[];
  observe(): Observations;
  /** What all pods may have together; 0: whatever there is. */
  podsMemory(): number;
  /** Removes from the disk what nobody uses: images, ended containers. */
  reclaimDisk(): Promise<void>;
  /** The conditions are others now. */
  changed(): void;
  /** About the node. */
  event(reason: string, message: string): void;
  evicted(pod: Pod, message: EvictionMessage): void;
}

export class EvictionManager {
  readonly #options: EvictionOptions;
  readonly #state: EvictionState;
  #cancel: (() => void) | undefined;
  #closed = false;

  constructor(options: EvictionOptions) {
    this.#options = options;
    this.#state = new EvictionState(options.settings);
    this.#wait(0);
  }

  get conditions(): ReadonlySet<Pressure> {
    return this.#state.conditions;
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  #wait(ms: number): void {
    if (this.#closed) return;
    this.#cancel = this.#options.clock.after(ms, () => {
      this.#look()
        .catch((err) => this.#options.logger.error({ err }, 'the look at the node for evictions failed'))
        .finally(() => this.#wait(INTERVAL_MS));
    });
  }

  async #look(): Promise<void> {
    const { clock, event } = this.#options;
    const observations = await this.#observe();
    const before = [...this.#state.conditions].join();
    const due = this.#state.update(observations, clock.elapsed());
    if ([...this.#state.conditions].join() !== before) this.#options.changed();
    if (await this.#enforceDiskLimits()) return;
    const [threshold] = due;
    if (!threshold) return;
    const resource = resourceOf(threshold.signal);
    event('EvictionThresholdMet', `Attempting to reclaim ${resource}`);
    if (await this.#reclaim(resource)) return;
    await this.#evictOne(threshold, observations);
  }

  async #observe(): Promise<Observations> {
    const { observe, podsMemory, runtime } = this.#options;
    const observations = observe();
    const capacity = podsMemory();
    if (capacity === 0) return observations;
    // The group of all pods is not there before the first.
    const used = await runtime.parentStats('').catch(() => ({ workingSetBytes: 0 }));
    const available = Math.max(0, capacity - used.workingSetBytes);
    return { ...observations, 'allocatableMemory.available': { available, capacity } };
  }

  #candidates(): PodWorker[] {
    return this.#options.pods().filter((worker) => worker.isActive && !worker.terminating);
  }

  /** Pods that took more of the disk than they may. */
  async #enforceDiskLimits(): Promise<boolean> {
    let any = false;
    for (const worker of this.#candidates()) {
      if (!hasDiskLimits(worker.pod)) continue;
      const usage = await measure(worker.pod, worker.dir, this.#options.runtime, true);
      const excess = diskExcess(usage, usage.volumes);
      if (excess && this.#evict(worker, excess, IMMEDIATE_GRACE_S, false)) any = true;
    }
    return any;
  }

  /** Whether that was enough. */
  async #reclaim(resource: string): Promise<boolean> {
    if (resource !== 'ephemeral-storage' && resource !== 'inodes') return false;
    await this.#options.reclaimDisk();
    const observations = await this.#observe();
    return this.#state.update(observations, this.#options.clock.elapsed()).length === 0;
  }

  async #evictOne(threshold: Threshold, observations: Observations): Promise<void> {
    const { runtime, settings } = this.#options;
    const resource = resourceOf(threshold.signal);
    const disk = resource === 'ephemeral-storage' || resource === 'inodes';
    const workers = new Map(this.#candidates().map((worker) => [worker.pod.metadata.uid!, worker]));
    const usages = [];
    for (const worker of workers.values()) usages.push(await measure(worker.pod, worker.dir, runtime, disk));
    const grace = threshold.graceMs > 0 ? settings.maxPodGraceSeconds : IMMEDIATE_GRACE_S;
    for (const usage of ranked(usages, resource)) {
      const worker = workers.get(usage.pod.metadata.uid!)!;
      if (this.#evict(worker, evictionMessage(usage, threshold, observations), grace, true)) return;
    }
    this.#options.logger.warn({ resource }, 'no pod can be evicted');
  }

  /** `disrupts`: the node is the reason, not the pod. */
  #evict(worker: PodWorker, message: EvictionMessage, graceSeconds: number, disrupts: boolean): boolean {
    if (isCritical(worker.pod) || !worker.isActive || worker.terminating) return false;
    this.#options.logger.warn({ pod: worker.pod.metadata.name, message: message.message }, 'evicting a pod');
    this.#options.evicted(worker.pod, message);
    worker.fail({ reason: 'Evicted', message: message.message, disrupts }, graceSeconds);
    return true;
  }
}
