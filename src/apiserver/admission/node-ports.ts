/** Which ports of nodes are in use, and which is given next (KEP-3668). */
import type { Service } from '#types';
import { objectKey } from '../../api/machinery/types.js';
import { services } from '../../api/resources/index.js';
import { RevisionError, type Store, type Watcher } from '../../store/store.js';
import { prefixOf } from '../keys.js';

export interface NodePortRange {
  /** Both inclusive. */
  from: number;
  to: number;
}

const PREFIX = prefixOf(services, '');

/** What the stored Services have: learned once, and then from what has changed since the last question. */
export class NodePortUsers {
  readonly #store: Store;
  readonly #users = new Map<number, Set<string>>();
  readonly #ports = new Map<string, number[]>();
  #watcher: Watcher | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** One call at a time. After it, `isUsed` knows all that is committed. */
  async refresh(): Promise<void> {
    try {
      if (this.#watcher) return await this.#follow(this.#watcher);
    } catch (error) {
      // So much has changed that the store has forgotten some of it.
      if (!(error instanceof RevisionError)) throw error;
    }
    await this.#learn();
  }

  /** Whether a Service has it, other than `service` (`namespace/name`). */
  isUsed(port: number, service?: string): boolean {
    const users = this.#users.get(port);
    return users !== undefined && (service === undefined || users.size > 1 || !users.has(service));
  }

  async #learn(): Promise<void> {
    this.#watcher?.close();
    this.#users.clear();
    this.#ports.clear();
    const { items, revision } = await this.#store.list(PREFIX);
    for (const { object } of items) this.#set(object as unknown as Service, true);
    this.#watcher = this.#store.watch(PREFIX, revision);
  }

  async #follow(watcher: Watcher): Promise<void> {
    for (;;) {
      const now = new AbortController();
      const coming = watcher.next(now.signal);
      // What there is has been taken by now: nothing more is waited for.
      now.abort();
      const events = await coming;
      if (events.length === 0) return;
      for (const { type, stored } of events)
        this.#set(stored.object as unknown as Service, type !== 'DELETED');
    }
  }

  #set(service: Service, exists: boolean): void {
    const key = objectKey(service);
    for (const port of this.#ports.get(key) ?? []) {
      const users = this.#users.get(port)!;
      users.delete(key);
      if (users.size === 0) this.#users.delete(port);
    }
    const ports = exists ? nodePortsOf(service) : [];
    if (ports.length > 0) this.#ports.set(key, ports);
    else this.#ports.delete(key);
    for (const port of ports) this.#users.set(port, (this.#users.get(port) ?? new Set()).add(key));
  }
}

function nodePortsOf({ spec }: Service): number[] {
  const all = [...(spec.ports ?? []).map(({ nodePort }) => nodePort), spec.healthCheckNodePort];
  return [...new Set(all)].filter((port): port is number => !!port);
}

/** Random in the upper part first; the lower part is left to who asks for a port. Undefined if none is free. */
export function freeNodePort(
  { from, to }: NodePortRange,
  isTaken: (port: number) => boolean,
  random: () => number,
): number | undefined {
  const reserved = from + reservedPorts(to - from + 1);
  const parts: [number, number][] = [
    [reserved, to + 1],
    [from, reserved],
  ];
  for (const [first, end] of parts) {
    const size = end - first;
    const start = Math.floor(random() * size);
    for (let i = 0; i < size; i++) {
      const port = first + ((start + i) % size);
      if (!isTaken(port)) return port;
    }
  }
  return undefined;
}

const reservedPorts = (size: number): number =>
  size <= 16 ? 0 : Math.min(Math.max(16, Math.floor(size / 32)), 128);
