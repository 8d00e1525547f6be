/** Counters of requests under upstream's names, rendered for Prometheus at /metrics. */
import { count, escapeLabel, family, Histograms } from '../api/machinery/measures.js';
import type { Attributes } from '../auth/user.js';

/** Upstream's buckets of apiserver_request_duration_seconds, in seconds. */
const BUCKETS = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
];
const READS = new Set(['get', 'list', 'watch']);
const CONNECTS = new Set(['attach', 'exec', 'portforward', 'proxy']);
const METHODS: Record<string, string> = { create: 'POST', update: 'PUT' };
const APPLY = /^application\/apply-patch\+/;

/** What a request is about, as far as it is counted. */
export type Subject = Omit<Attributes, 'user'>;

/** What is counted per request is a few map look-ups; text is made when somebody asks. */
export class Metrics {
  readonly #requests = new Map<string, number>();
  readonly #seconds = new Histograms(
    'apiserver_request_duration_seconds',
    'Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component.',
    BUCKETS,
  );
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
  request(a: Subject, code: number, ms: number, dryRun = '', contentType = ''): void {
    const labels = labelsOf(a, contentType);
    const dry = `dry_run="${escapeLabel(dryRun)}",${labels}`;
    count(this.#requests, `code="${code}",${dry}`);
    if (a.verb !== 'watch') this.#seconds.observe(dry, ms / 1000);
  }

  /** Counts a request that takes long, until what it returns is called. */
  longRunning(a: Subject): () => void {
    const labels = labelsOf(a);
    count(this.#longRunning, labels);
    return () => count(this.#longRunning, labels, -1);
  }

  /** What counts the events that a watch has sent, and their bytes. */
  watchEvents({ group, version, resource }: Subject): (events: number, bytes: number) => void {
    const labels = `group="${escapeLabel(group)}",resource="${escapeLabel(resource)}",version="${escapeLabel(version)}"`;
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
      ...family('apiserver_request_total', 'counter', 'Counter of apiserver requests.', this.#requests),
      ...family(
        'apiserver_current_inflight_requests',
        'gauge',
        'Requests being served.',
        new Map(Object.entries(this.#inflight).map(([kind, n]) => [`request_kind="${kind}"`, n])),
      ),
      ...family(
        'apiserver_longrunning_requests',
        'gauge',
        'Requests that take as long as their clients want.',
        this.#longRunning,
      ),
      ...family(
        'apiserver_watch_events_total',
        'counter',
        'Events that watches have sent.',
        new Map([...this.#watchEvents].map(([labels, { events }]) => [labels, events])),
      ),
      ...family(
        'keelson_apiserver_watch_bytes_total',
        'counter',
        'Bytes of events that watches have sent.',
        new Map([...this.#watchEvents].map(([labels, { bytes }]) => [labels, bytes])),
      ),
      ...this.#seconds.render(),
      ...more,
    ];
    return {
      contentType: Metrics.#registry.contentType,
      text: `${own.join('\n')}\n${await Metrics.#registry.metrics()}`,
    };
  }

  static #registry: import('prom-client').Registry | undefined;
  static #collecting = false;
}

function labelsOf(a: Subject, contentType = ''): string {
  const scope = !a.isResource
    ? ''
    : a.name !== '' || a.verb === 'create'
      ? 'resource'
      : a.namespace !== ''
        ? 'namespace'
        : 'cluster';
  const verb = verbOf(a, contentType);
  return `component="apiserver",group="${escapeLabel(a.group)}",resource="${escapeLabel(a.resource)}",scope="${scope}",subresource="${escapeLabel(a.subresource)}",verb="${escapeLabel(verb)}",version="${escapeLabel(a.version)}"`;
}

/** Upstream's: methods of requests, but for those that it names otherwise. */
function verbOf({ verb, subresource }: Subject, contentType: string): string {
  if (CONNECTS.has(subresource)) return 'CONNECT';
  if (verb === 'patch' && APPLY.test(contentType)) return 'APPLY';
  return METHODS[verb] ?? verb.toUpperCase();
}
