/** Which CPUs containers run on: with the policy `static`, some have theirs alone (kubelet `cpumanager`). */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Logger } from 'pino';
import type { Container, Pod } from '#types';
import { quantityMilli } from '../../../api/machinery/quantity.js';
import type { Runtime } from '../../../runtime/types.js';
import { AdmissionError } from '../../pods/admission-error.js';
import { isSidecar } from '../../pods/next-actions.js';
import { qosClass } from '../../pods/resources.js';
import { formatCpus, parseCpus } from './cpu-set.js';
import { type Cpu, takeCpus } from './topology.js';

export interface CpuSettings {
  policy: 'none' | 'static';
  /** Never given to one container alone. */
  reserved: number[];
}

export interface CpuManagerOptions {
  settings: CpuSettings;
  topology: Cpu[];
  /** Where it is noted who has what, for the next agent. */
  file: string;
  runtime: Pick<Runtime, 'sandboxes' | 'containerConfig' | 'updateLimits'>;
  logger: Logger;
}

/** Pod UID → container → its CPUs. */
type Entries = Record<string, Record<string, number[]>>;

export class CpuManager {
  readonly #options: CpuManagerOptions;
  #entries: Entries = {};
  #spreading: Promise<void> = Promise.resolve();

  constructor(options: CpuManagerOptions) {
    this.#options = options;
    const { file, settings, logger } = options;
    if (settings.policy === 'none') {
      rmSync(file, { force: true });
      return;
    }
    try {
      this.#entries = read(file);
    } catch (err) {
      if ((err as NodeJS.ErrnoException).code !== 'ENOENT')
        logger.error({ err, file }, 'what is noted of CPUs can not be read: no container has any alone');
    }
  }

  get isStatic(): boolean {
    return this.#options.settings.policy === 'static';
  }

  /** Gives the pod's containers what they are to have alone. @throws AdmissionError */
  allocate(pod: Pod): void {
    const { uid = '' } = pod.metadata;
    if (!this.isStatic || this.#entries[uid]) return;
    const given = this.#allocate(pod);
    if (Object.keys(given).length === 0) return;
    this.#entries[uid] = given;
    this.#changed();
  }

  release(uid: string): void {
    if (!this.#entries[uid]) return;
    delete this.#entries[uid];
    this.#changed();
  }

  /** Of all other pods nothing is left. */
  retain(uids: ReadonlySet<string>): void {
    for (const uid of Object.keys(this.#entries)) if (!uids.has(uid)) this.release(uid);
  }

  /** Where a container may run, as a list; undefined: everywhere. */
  of(uid: string, container: string): string | undefined {
    if (!this.isStatic) return undefined;
    return formatCpus(this.#entries[uid]?.[container] ?? this.#shared());
  }

  /** Whether a container, or any of the pod, has CPUs alone: what nobody else uses needs no quota. */
  hasOwn(uid: string, container?: string): boolean {
    const entries = this.#entries[uid];
    return container === undefined ? entries !== undefined : entries?.[container] !== undefined;
  }

  /** What nobody has alone. */
  #shared(): number[] {
    const taken = new Set(Object.values(this.#entries).flatMap((of) => Object.values(of).flat()));
    return this.#options.topology.map(({ id }) => id).filter((id) => !taken.has(id));
  }

  #allocate(pod: Pod): Record<string, number[]> {
    const { topology, settings } = this.#options;
    const given: Record<string, number[]> = {};
    // What an init container had is free again for those that come after it.
    const reusable = new Set<number>();
    const own = new Set<number>();
    for (const container of [...(pod.spec.initContainers ?? []), ...pod.spec.containers]) {
      const count = exclusiveCpus(pod, container);
      if (count === 0) continue;
      const free = new Set(this.#shared().filter((id) => !settings.reserved.includes(id) && !own.has(id)));
      const again = [...reusable].filter((id) => free.has(id)).slice(0, count);
      for (const id of again) free.delete(id);
      if (free.size < count - again.length)
        throw new AdmissionError(
          `not enough cpus available to satisfy request: requested=${count}, available=${free.size + again.length}`,
        );
      const cpus = [...again, ...takeCpus(topology, free, count - again.length)].sort((a, b) => a - b);
      given[container.name] = cpus;
      const isInit = pod.spec.initContainers?.includes(container) && !isSidecar(container);
      for (const id of cpus)
        if (isInit) reusable.add(id);
        else own.add(id);
    }
    return given;
  }

  /** Notes it, and has all others run on what is left. */
  #changed(): void {
    const { file, logger } = this.#options;
    try {
      write(file, this.#entries, formatCpus(this.#shared()));
    } catch (err) {
      logger.error({ err, file }, 'who has which CPUs could not be noted');
    }
    this.#spreading = this.#spreading.then(() => this.#spread());
  }

  async #spread(): Promise<void> {
    const { runtime, logger } = this.#options;
    for (const { id: uid, containers } of runtime.sandboxes())
      for (const { id, name, state } of containers) {
        const limits = runtime.containerConfig(id)?.limits;
        const cpus = this.of(uid, name);
        // One that was started under another policy stays as it is until it starts again.
        if (state !== 'running' || !limits?.cpus || !cpus || limits.cpus === cpus) continue;
        await runtime
          .updateLimits(id, { ...limits, cpus })
          .catch((err) => logger.warn({ err, container: name }, 'its CPUs could not be changed'));
      }
  }
}

/** How many CPUs it is to have alone: a whole number that a Guaranteed pod's container asks for. */
export function exclusiveCpus(pod: Pod, { resources }: Container): number {
  if (qosClass(pod) !== 'Guaranteed' || pod.spec.resources) return 0;
  const milli = quantityMilli(resources?.requests?.['cpu'] ?? resources?.limits?.['cpu']);
  return milli % 1000 === 0 ? milli / 1000 : 0;
}

function read(file: string): Entries {
  const { entries = {} } = JSON.parse(readFileSync(file, 'utf8')) as {
    entries?: Record<string, Record<string, string>>;
  };
  return Object.fromEntries(
    Object.entries(entries).map(([uid, of]) => [
      uid,
      Object.fromEntries(Object.entries(of).map(([name, cpus]) => [name, parseCpus(cpus)])),
    ]),
  );
}

/** In the form of upstream's checkpoint. */
function write(file: string, entries: Entries, defaultCpuSet: string): void {
  const lists = Object.entries(entries).map(([uid, of]) => [
    uid,
    Object.fromEntries(Object.entries(of).map(([name, cpus]) => [name, formatCpus(cpus)])),
  ]);
  mkdirSync(dirname(file), { recursive: true });
  const text = JSON.stringify({ policyName: 'static', defaultCpuSet, entries: Object.fromEntries(lists) });
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}
