/** What the proxy counts, in the text format of Prometheus. */

const BUCKETS = [0.005, 0.025, 0.1, 0.5, 2.5, 10];

interface Series {
  count: number;
  seconds: number;
  bytes: number;
  /** Cumulative, by `BUCKETS`. */
  buckets: number[];
}

export class IngressMetrics {
  /** By Ingress and class of status. */
  readonly #series = new Map<string, Series>();
  #retries = 0;
  #connections = 0;

  /** `ingress` is `namespace/name`, or '' where none fits. */
  served(ingress: string, status: number, seconds: number, bytes: number, retries: number): void {
    const key = `ingress="${ingress}",status="${Math.floor(status / 100)}xx"`;
    let series = this.#series.get(key);
    if (!series) {
      series = { count: 0, seconds: 0, bytes: 0, buckets: BUCKETS.map(() => 0) };
      this.#series.set(key, series);
    }
    series.count++;
    series.seconds += seconds;
    series.bytes += bytes;
    for (let i = 0; i < BUCKETS.length; i++) if (seconds <= BUCKETS[i]!) series.buckets[i]!++;
    this.#retries += retries;
  }

  connected(change: 1 | -1): void {
    this.#connections += change;
  }

  /** Ingresses that are gone are no longer told of. */
  keep(ingresses: ReadonlySet<string>): void {
    for (const key of this.#series.keys()) {
      const name = /^ingress="([^"]*)"/.exec(key)![1]!;
      if (name !== '' && !ingresses.has(name)) this.#series.delete(key);
    }
  }

  text(): string {
    const lines: string[] = [];
    const metric = (name: string, type: string, help: string, samples: string[]) =>
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...samples);
    const all = [...this.#series];
    metric(
      'keelson_ingress_requests_total',
      'counter',
      'Requests answered.',
      all.map(([labels, { count }]) => `keelson_ingress_requests_total{${labels}} ${count}`),
    );
    metric(
      'keelson_ingress_response_bytes_total',
      'counter',
      'Bytes of answers from endpoints.',
      all.map(([labels, { bytes }]) => `keelson_ingress_response_bytes_total{${labels}} ${bytes}`),
    );
    const duration = 'keelson_ingress_request_duration_seconds';
    metric(
      duration,
      'histogram',
      'From the request to the last byte of its answer.',
      all.flatMap(([labels, { buckets, count, seconds }]) => [
        ...BUCKETS.map((le, i) => `${duration}_bucket{${labels},le="${le}"} ${buckets[i]}`),
        `${duration}_bucket{${labels},le="+Inf"} ${count}`,
        `${duration}_sum{${labels}} ${seconds}`,
        `${duration}_count{${labels}} ${count}`,
      ]),
    );
    metric('keelson_ingress_retries_total', 'counter', 'Requests sent again to another endpoint.', [
      `keelson_ingress_retries_total ${this.#retries}`,
    ]);
    metric('keelson_ingress_connections', 'gauge', "Clients' open connections.", [
      `keelson_ingress_connections ${this.#connections}`,
    ]);
    return `${lines.join('\n')}\n`;
  }
}
