/** Counters of requests under upstream's names, rendered for Prometheus at /metrics. */
import type { Attributes } from '../auth/user.js';

/** Upstream's buckets of apiserver_request_duration_seconds, in seconds. */
const BUCKETS = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
];

interface Duration {
  labels: string;
  counts: number[];
  sum: number;
}

/** What is counted per request is a few map look-ups; text is made when somebody asks. */
export class Metrics {
  readonly #requests = new Map<string, number>();
  readonly #durations = new Map<string, Duration>();
  readonly #failures = new Map<string, number>();
  #watches = 0;

  /** Counts an answered request; `ms` until its answer began. */
  request(a: Attributes, code: number, ms: number): void {
    const scope = !a.isResource
      ? ''
      : a.name !== ''
        ? 'resource'
        : a.namespace !== ''
          ? 'namespace'
          : 'cluster';
    const verb = a.verb.toUpperCase();
    const labels = `component="apiserver",group="${label(a.group)}",resource="${label(a.resource)}",scope="${scope}",subresource="${label(a.subresource)}",verb="${label(verb)}",version="${label(a.version)}"`;
    count(this.#requests, `code="${code}",${labels}`);
    if (a.verb === 'watch') return;
    let duration = this.#durations.get(labels);
    if (!duration) {
      duration = { labels, counts: new Array(BUCKETS.length + 1).fill(0), sum: 0 };
      this.#durations.set(labels, duration);
    }
    const seconds = ms / 1000;
    const bucket = BUCKETS.findIndex((limit) => seconds <= limit);
    duration.counts[bucket < 0 ? BUCKETS.length : bucket]! += 1;
    duration.sum += seconds;
  }

  /** Counts a request that ended in an error; its resource may not be known. */
  failure(method: string, code: number): void {
    count(this.#failures, `code="${code}",method="${label(method)}"`);
  }

  watchStarted(): () => void {
    this.#watches++;
    return () => {
      this.#watches--;
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
        'keelson_apiserver_failed_requests_total',
        'counter',
        'Requests that were answered with an error Status.',
        this.#failures,
      ),
      ...simple(
        'apiserver_longrunning_requests',
        'gauge',
        'Watches that are open.',
        new Map([['verb="WATCH"', this.#watches]]),
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

const label = (value: string): string => value.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));

function count(map: Map<string, number>, key: string): void {
  map.set(key, (map.get(key) ?? 0) + 1);
}

function simple(name: string, type: string, help: string, values: Map<string, number>): string[] {
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...[...values].map(([labels, value]) => `${name}{${labels}} ${value}`),
  ];
}
