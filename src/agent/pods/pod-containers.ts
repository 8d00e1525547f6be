/** The containers of one pod, of all kinds, by their names. */
import type { Pod } from '#types';
import type { ContainerStatus, SandboxStatus } from '../../runtime/types.js';
import { ContainerRunner, type PodContext } from './container-runner.js';
import { type ContainerView, endsAll, ephemeralContainers } from './next-actions.js';
import type { ContainerRecord } from './status.js';
import type { WorkerDeps } from './worker-deps.js';

export class PodContainers implements Iterable<ContainerRunner> {
  readonly #runners = new Map<string, ContainerRunner>();

  constructor(
    private readonly context: PodContext,
    private readonly deps: WorkerDeps,
  ) {}

  [Symbol.iterator](): IterableIterator<ContainerRunner> {
    return this.#runners.values();
  }

  get(name: string): ContainerRunner | undefined {
    return this.#runners.get(name);
  }

  /** Those of the pod that are not known yet. */
  add(pod: Pod): void {
    const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {};
    const told = [...containerStatuses, ...initContainerStatuses];
    const { initContainers = [], containers } = pod.spec;
    for (const container of [...initContainers, ...containers, ...ephemeralContainers(pod)]) {
      if (this.#runners.has(container.name)) continue;
      const before = told.find((status) => status.name === container.name);
      const ran = before?.containerID ? 1 : 0;
      const count = (before?.restartCount ?? 0) + ran;
      this.#runners.set(container.name, new ContainerRunner(container, this.context, this.deps, count));
    }
  }

  /** As the pod has them now. */
  define(pod: Pod): void {
    for (const container of [...(pod.spec.initContainers ?? []), ...pod.spec.containers])
      this.#runners.get(container.name)?.define(container);
  }

  /** Goes on with what an earlier agent has left of them. */
  adopt(sandbox: SandboxStatus): void {
    for (const [name, runner] of this.#runners)
      runner.adopt(sandbox.containers.filter((container) => container.name === name));
    this.#goOnStartingOver();
    if (!sandbox.alive) this.sandboxGone();
  }

  /** One that took all with it is over and done with where another has started since; the rest are still to follow. */
  #goOnStartingOver(): void {
    const began = ({ record }: ContainerRunner) => record.latest?.startedAt ?? 0;
    const runners = [...this];
    const ends = runners.flatMap(({ container, record: { latest } }) =>
      latest?.state === 'exited' && endsAll(container, latest.exitCode) ? [latest.finishedAt] : [],
    );
    const end = Math.max(...ends);
    if (ends.length === 0 || !runners.some((runner) => began(runner) > end)) return;
    for (const runner of runners) if (began(runner) <= end) runner.startOver();
  }

  sandboxGone(): void {
    for (const runner of this) runner.sandboxGone();
  }

  /** All that have run are to run again, from the first init container on. */
  startOver({ spec }: Pod): void {
    for (const { name } of [...(spec.initContainers ?? []), ...spec.containers])
      this.#runners.get(name)?.startOver();
  }

  exited(status: ContainerStatus): void {
    this.#runners.get(status.name)?.exited(status);
  }

  views(now: number): Record<string, ContainerView> {
    return Object.fromEntries([...this.#runners].map(([name, runner]) => [name, runner.view(now)]));
  }

  get records(): Record<string, ContainerRecord> {
    return Object.fromEntries([...this.#runners].map(([name, { record }]) => [name, record]));
  }

  get areEnded(): boolean {
    return [...this].every(({ record }) => record.latest?.state !== 'running');
  }

  /** The pod is to end; `graceSeconds`: what its deletion leaves them. */
  ending(graceSeconds: number | undefined): void {
    for (const runner of this) {
      runner.ending();
      if (graceSeconds !== undefined) runner.hurry(graceSeconds * 1000);
    }
  }
}
