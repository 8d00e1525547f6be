/** What is told of one pod: its status when that is another, and a note of both for a later agent. */
import type { Pod, PodStatus } from '#types';
import { timestamp } from '../../api/machinery/clock.js';
import { rejectedStatus } from './admission.js';
import type { Operations } from './operations.js';
import type { Allocation } from './resize.js';
import { savePod } from './saved-pods.js';
import { podStatus, type StatusInput } from './status.js';
import type { WorkerDeps } from './worker-deps.js';

/** The pod as it is now. */
export interface ReportedPod {
  /** As the API has it. */
  readonly desired: Pod;
  readonly allocation: Allocation;
  /** Its own folder. */
  readonly dir: string;
}

export class PodReport {
  readonly #begun: number;
  #status: PodStatus | undefined;
  #text = '';
  #saving = Promise.resolve();
  #ended = false;

  constructor(
    private readonly of: ReportedPod,
    private readonly deps: Pick<WorkerDeps, 'clock' | 'facts' | 'setStatus'>,
    private readonly operations: Operations,
  ) {
    this.#begun = deps.clock.now();
    this.#status = of.desired.status;
  }

  /** Whether this agent has told of it. */
  get isTold(): boolean {
    return this.#text !== '';
  }

  /** When the node took the pod, in milliseconds since the epoch. */
  get startTime(): number {
    return this.#status?.startTime ? Date.parse(this.#status.startTime) : this.#begun;
  }

  /** False if the status is that which was told last. */
  tell(input: Omit<StatusInput, 'previous' | 'hostIPs' | 'startTime' | 'now'>): boolean {
    const { clock, facts } = this.deps;
    const { pod, failure } = input;
    const status = failure?.isRejection
      ? rejectedStatus(pod, failure, timestamp(this.startTime))
      : podStatus({
          ...input,
          previous: this.#status,
          hostIPs: facts.ips,
          startTime: this.#begun,
          now: clock.now(),
        });
    const text = JSON.stringify(status);
    if (text === this.#text) return false;
    this.#status = status;
    this.#text = text;
    this.deps.setStatus(pod, status);
    return true;
  }

  /** So that a later agent knows the pod without the hub. */
  save(): void {
    this.operations.runAfresh('save', () => {
      this.#saving = this.#save();
      return this.#saving;
    });
  }

  /** Nothing is written into the pod's folder any more once this resolves. */
  async end(): Promise<void> {
    this.#ended = true;
    await this.#saving.catch(() => undefined);
  }

  async #save(): Promise<void> {
    if (this.#ended) return;
    const { dir, desired, allocation } = this.of;
    const pod = { ...desired, ...(this.#status ? { status: this.#status } : {}) };
    await savePod(dir, { pod, allocation });
  }
}
