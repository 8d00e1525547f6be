/** How one run of a container is ended: hook, signal, grace, SIGKILL. */
import { crashPoint } from '../../runtime/crash-points.js';
import type { ContainerStatus } from '../../runtime/types.js';
import type { WorkerDeps } from './worker-deps.js';

/** How long a container may always take to end, whatever its grace. */
const MIN_GRACE_MS = 2000;

export interface StopSteps {
  graceMs: number;
  signal: string;
  preStop(signal: AbortSignal): Promise<void>;
  /** Resolves when nothing leads to the pod any more. */
  withdrawn: Promise<void> | undefined;
}

export class ContainerStop {
  readonly #abort = new AbortController();
  #killBy: (() => void) | undefined;

  constructor(
    private readonly id: string,
    private readonly deps: Pick<WorkerDeps, 'clock' | 'runtime'>,
  ) {}

  /** Resolves with how it ended. */
  async run({ graceMs, signal, preStop, withdrawn }: StopSteps): Promise<ContainerStatus> {
    const { clock, runtime } = this.deps;
    const begun = clock.elapsed();
    const deadline = clock.after(graceMs, () => this.#abort.abort());
    try {
      if (graceMs > 0) await preStop(this.#abort.signal);
      crashPoint('preStop run');
      await withdrawn;
      const left = Math.max(graceMs - (clock.elapsed() - begun), MIN_GRACE_MS);
      const ended = await runtime.stopContainer(this.id, signal, left);
      crashPoint('container ended');
      return ended;
    } finally {
      deadline();
      this.#killBy?.();
    }
  }

  /** The grace has become shorter. */
  hurry(graceMs: number): void {
    this.#killBy?.();
    this.#killBy = this.deps.clock.after(graceMs, () => {
      this.#abort.abort();
      this.deps.runtime.stopContainer(this.id, 'SIGKILL', 0).catch(() => {});
    });
  }
}
