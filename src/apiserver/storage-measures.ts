/** The store as the API server uses it, with its requests counted under the names of upstream's etcd client. */
import { count, family, Histograms, labelText } from '../api/machinery/measures.js';
import type { Listed, ListOptions, Store, Stored, Watcher, Write } from '../store/store.js';

const BUCKETS = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
];

/** Reads come from memory, as upstream's from its cache: commits are what reaches the disk. */
export class MeasuredStore implements Store {
  readonly #seconds = new Histograms(
    'etcd_request_duration_seconds',
    'Etcd request latency in seconds for each operation and object type.',
    BUCKETS,
  );
  readonly #requests = new Map<string, number>();
  readonly #errors = new Map<string, number>();

  constructor(private readonly store: Store) {}

  get revision(): number {
    return this.store.revision;
  }

  get compacted(): number {
    return this.store.compacted;
  }

  get(key: string): Stored | undefined {
    return this.store.get(key);
  }

  list(prefix: string, options?: ListOptions): Promise<Listed> {
    return this.store.list(prefix, options);
  }

  watch(prefix: string, revision: number): Watcher {
    return this.store.watch(prefix, revision);
  }

  compact(revision: number): Promise<void> {
    return this.store.compact(revision);
  }

  close(): Promise<void> {
    return this.store.close();
  }

  async commit(writes: Write[]): Promise<(Stored | undefined)[]> {
    const [first] = writes;
    if (!first) return this.store.commit(writes);
    const labels = labelText({ ...groupResource(first.key), operation: operationOf(first) });
    const started = performance.now();
    count(this.#requests, labels);
    try {
      return await this.store.commit(writes);
    } catch (error) {
      // A lost comparison is an answer.
      if ((error as Error).name !== 'ConflictError') count(this.#errors, labels);
      throw error;
    } finally {
      this.#seconds.observe(labels, (performance.now() - started) / 1000);
    }
  }

  /** Prometheus text. */
  async render(): Promise<string[]> {
    const bytes = await this.store.diskBytes?.();
    const sizes = [...(this.store.sizes?.() ?? [])].map(([prefix, n]) => [groupResource(prefix), n] as const);
    return [
      ...family(
        'apiserver_resource_objects',
        'gauge',
        'Number of stored objects at the time of last check split by kind.',
        sizes.map(([of, n]) => [labelText(of), n]),
      ),
      ...family(
        'apiserver_storage_objects',
        'gauge',
        '[DEPRECATED, consider using apiserver_resource_objects instead] Number of stored objects at the time of last check split by kind.',
        sizes.map(([{ group, resource }, n]) => [
          labelText({ resource: group === '' ? resource : `${resource}.${group}` }),
          n,
        ]),
      ),
      ...family(
        'apiserver_storage_size_bytes',
        'gauge',
        'Size of the storage database file physically allocated in bytes.',
        bytes === undefined ? [] : [[labelText({ storage_cluster_id: 'etcd-0' }), bytes]],
      ),
      ...this.#seconds.render(),
      ...family(
        'etcd_requests_total',
        'counter',
        'Etcd request counts for each operation and object type.',
        this.#requests,
      ),
      ...family(
        'etcd_request_errors_total',
        'counter',
        'Etcd failed request counts for each operation and object type.',
        this.#errors,
      ),
    ];
  }
}

/** Of a key, or of the prefix of a kind. */
function groupResource(key: string): { group: string; resource: string } {
  const [group = '', resource = ''] = key.split('/', 2);
  return { group: group === 'core' ? '' : group, resource };
}

const operationOf = ({ object, expected }: Write): string =>
  object === null ? 'delete' : expected === 0 ? 'create' : 'update';
