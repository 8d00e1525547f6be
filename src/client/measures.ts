/**
 * What clients of this process count, by the names of upstream's components: requests (`rest_client_*`) and work queues
 * (`workqueue_*`).
 */
import { count, family, Histograms, labelText } from '../api/machinery/measures.js';

const requests = new Map<string, number>();
const requestSeconds = new Histograms(
  'rest_client_request_duration_seconds',
  'Request latency in seconds. Broken down by verb, and host.',
  [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60],
);

/** Counts a request that was answered with `code`, or with `<error>`. */
export function countRequest(host: string, method: string, code: number | '<error>', ms: number): void {
  count(requests, labelText({ code: String(code), host, method }));
  requestSeconds.observe(labelText({ host, verb: method }), ms / 1000);
}

/** From 10 ns in powers of ten, as upstream has them. */
const QUEUE_BUCKETS = Array.from({ length: 12 }, (_, i) => Number(`1e${i - 8}`));
const adds = new Map<string, number>();
const retries = new Map<string, number>();
const waitSeconds = new Histograms(
  'workqueue_queue_duration_seconds',
  'How long in seconds an item stays in workqueue before being requested.',
  QUEUE_BUCKETS,
);
const workSeconds = new Histograms(
  'workqueue_work_duration_seconds',
  'How long in seconds processing an item from workqueue takes.',
  QUEUE_BUCKETS,
);
const meters = new Set<QueueMeter>();

/** What is known of one queue. Queues of one name count together. */
export class QueueMeter {
  readonly #labels: string;
  readonly #added = new Map<string, number>();
  readonly #started = new Map<string, number>();

  constructor(name: string) {
    this.#labels = labelText({ name });
    meters.add(this);
  }

  added(key: string): void {
    count(adds, this.#labels);
    if (!this.#added.has(key)) this.#added.set(key, performance.now());
  }

  retried(): void {
    count(retries, this.#labels);
  }

  taken(key: string): void {
    const now = performance.now();
    waitSeconds.observe(this.#labels, (now - (this.#added.get(key) ?? now)) / 1000);
    this.#added.delete(key);
    this.#started.set(key, now);
  }

  done(key: string): void {
    const started = this.#started.get(key);
    if (started === undefined) return;
    this.#started.delete(key);
    workSeconds.observe(this.#labels, (performance.now() - started) / 1000);
  }

  close(): void {
    meters.delete(this);
  }

  /** By the labels of its name: keys that wait, seconds of work under way in all, and of the longest. */
  state(): { labels: string; depth: number; unfinished: number; longest: number } {
    const now = performance.now();
    const seconds = [...this.#started.values()].map((started) => (now - started) / 1000);
    return {
      labels: this.#labels,
      depth: this.#added.size,
      unfinished: seconds.reduce((sum, each) => sum + each, 0),
      longest: Math.max(0, ...seconds),
    };
  }
}

/** Prometheus text. */
export function clientMeasures(): string[] {
  const depth = new Map<string, number>();
  const unfinished = new Map<string, number>();
  const longest = new Map<string, number>();
  for (const meter of meters) {
    const state = meter.state();
    count(depth, state.labels, state.depth);
    count(unfinished, state.labels, state.unfinished);
    longest.set(state.labels, Math.max(state.longest, longest.get(state.labels) ?? 0));
  }
  return [
    ...family(
      'rest_client_requests_total',
      'counter',
      'Number of HTTP requests, partitioned by status code, method, and host.',
      requests,
    ),
    ...requestSeconds.render(),
    ...family('workqueue_adds_total', 'counter', 'Total number of adds handled by workqueue', adds),
    ...family('workqueue_depth', 'gauge', 'Current depth of workqueue', depth),
    ...family(
      'workqueue_longest_running_processor_seconds',
      'gauge',
      'How many seconds has the longest running processor for workqueue been running.',
      longest,
    ),
    ...waitSeconds.render(),
    ...family('workqueue_retries_total', 'counter', 'Total number of retries handled by workqueue', retries),
    ...family(
      'workqueue_unfinished_work_seconds',
      'gauge',
      "How many seconds of work has been done that is in progress and hasn't been observed by work_duration.",
      unfinished,
    ),
    ...workSeconds.render(),
  ];
}
