/** Counters of requests under upstream's names, rendered for Prometheus at /metrics. */
import type { Attributes } from '../auth/user.js';

/** Upstream's buckets of apiserver_request_duration_seconds, in seconds. */
const BUCKETS = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
];
const READS = new Set(['get', 'list', 'watch']);
const CONNECTS = new Set(['attach', 'exec', 'portforward', 'proxy']);

interface Duration {
  labels: string;
  counts: number[];
  sum: number;
}

/** What a request is about, as far as it is counted. */
export type Subject = Omit<Attributes, 'user'>;

/** What is counted per request is a few map look-ups; text is made when somebody asks. */
export class Metrics {
  readonly #requests = new Map<string, number>();
  readonly #durations = new Map<string, Duration>();
  readonly #longRunning = new Map<string, number>();
  readonly #watchEvents = new Map<string, { events: number; bytes: number }>();
  readonly #inflight = { mutating: 0, readOnly: 0 };

  /** Counts a request that is being served, until what it returns is called. */
  begin({ verb }: Subject): () => void {
    const kind = READS.has(verb) ? 'readOnly' : 'mutating';
    this.#inflight[kind]++;
    return () => {
      this.#inflight[kind]--;
    };
  }

  /** Counts an answered request, also a failed one; `ms` until its answer began. */
  request(a: Subject, code: number, ms: number, dryRun = ''): void {
    const labels = labelsOf(a);
    const dry = `dry_run="${label(dryRun)}",${labels}`;
    count(this.#requests, `code="${code}",${dry}`);
    if (a.verb === 'watch') return;
    let duration = this.#durations.get(dry);
    if (!duration) {
      duration = { labels: dry, counts: new Array(BUCKETS.length + 1).fill(0), sum: 0 };
      this.#durations.set(dry, duration);
    }
    const seconds = ms / 1000;
    const bucket = BUCKETS.findIndex((limit) => seconds <= limit);
    duration.counts[bucket < 0 ? BUCKETS.length : bucket]! += 1;
    duration.sum += seconds;
  }

  /** Counts a request that takes long, until what it returns is called. */
  longRunning(a: Subject): () => void {
    const labels = labelsOf(a);
    count(this.#longRunning, labels);
    return () => count(this.#longRunning, labels, -1);
  }

  /** What counts the events that a watch has sent, and their bytes. */
  watchEvents({ group, version, resource }: Subject): (events: number, bytes: number) => void {
    const labels = `group="${label(group)}",resource="${label(resource)}",version="${label(version)}"`;
    let sent = this.#watchEvents.get(labels);
    if (!sent) {
      sent = { events: 0, bytes: 0 };
      this.#watchEvents.set(labels, sent);
    }
    return (events, bytes) => {
      sent.events += events;
      sent.bytes += bytes;
    };
  }

  /** The registry as Prometheus text, with the lines that others have. */
  async render(more: string[] = []): Promise<{ contentType: string; text: string }> {
    const { collectDefaultMetrics, Registry } = await import('prom-client');
    Metrics.#registry ??= new Registry();
    if (!Metrics.#collecting) collectDefaultMetrics({ register: Metrics.#registry });
    Metrics.#collecting = true;
    const own = [
      ...simple('apiserver_request_total', 'counter', 'Counter of apiserver requests.', this.#requests),
      ...simple(
        'apiserver_current_inflight_requests',
        'gauge',
        'Requests being served.',
        new Map(Object.entries(this.#inflight).map(([kind, n]) => [`request_kind="${kind}"`, n])),
      ),
      ...simple(
        'apiserver_longrunning_requests',
        'gauge',
        'Requests that take as long as their clients want.',
        this.#longRunning,
      ),
      ...simple(
        'apiserver_watch_events_total',
        'counter',
        'Events that watches have sent.',
        new Map([...this.#watchEvents].map(([labels, { events }]) => [labels, events])),
      ),
      ...simple(
        'keelson_apiserver_watch_bytes_total',
        'counter',
        'Bytes of events that watches have sent.',
        new Map([...this.#watchEvents].map(([labels, { bytes }]) => [labels, bytes])),
      ),
      ...this.#histogram(),
      ...more,
    ];
    return {
      contentType: Metrics.#registry.contentType,
      text: `${own.join('\n')}\n${await Metrics.#registry.metrics()}`,
    };
  }

  static #registry: import('prom-client').Registry | undefined;
  static #collecting = false;

  #histogram(): string[] {
    const name = 'apiserver_request_duration_seconds';
    const lines = [`# HELP ${name} Response latency in seconds.`, `# TYPE ${name} histogram`];
    for (const { labels, counts, sum } of this.#durations.values()) {
      let total = 0;
      counts.forEach((n, i) => {
        total += n;
        lines.push(`${name}_bucket{${labels},le="${BUCKETS[i] ?? '+Inf'}"} ${total}`);
      });
      lines.push(`${name}_sum{${labels}} ${sum}`, `${name}_count{${labels}} ${total}`);
    }
    return lines;
  }
}

function labelsOf(a: Subject): string {
  const scope = !a.isResource
    ? ''
    : a.name !== '' || a.verb === 'create'
      ? 'resource'
      : a.namespace !== ''
        ? 'namespace'
        : 'cluster';
  const verb = CONNECTS.has(a.subresource) ? 'CONNECT' : a.verb.toUpperCase();
  return `component="apiserver",group="${label(a.group)}",resource="${label(a.resource)}",scope="${scope}",subresource="${label(a.subresource)}",verb="${label(verb)}",version="${label(a.version)}"`;
}

const label = (value: string): string => value.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));

function count(map: Map<string, number>, key: string, change = 1): void {
  map.set(key, (map.get(key) ?? 0) + change);
}

function simple(name: string, type: string, help: string, values: Map<string, number>): string[] {
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...[...values].map(([labels, value]) => `${name}{${labels}} ${value}`),
  ];
}
