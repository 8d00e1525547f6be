/** What flow control counts, under upstream's names (apiserver_flowcontrol_*). */
import { count, family, Histograms } from '../../../api/machinery/measures.js';
import type { FlowControl } from './flow-control.js';

export interface Counts {
  dispatched: number;
  executing: number;
  seats: number;
}

const WAIT_BUCKETS = [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30];

export class FlowMetrics {
  /** By level and schema. */
  readonly #counts = new Map<string, Counts>();
  readonly #rejected = new Map<string, number>();
  readonly #waits = new Histograms(
    'apiserver_flowcontrol_request_wait_duration_seconds',
    'Time that requests waited in a queue.',
    WAIT_BUCKETS,
  );

  /** What is counted of a schema's requests at a level. */
  of(level: string, schema: string): Counts {
    const key = labels(level, schema);
    let counts = this.#counts.get(key);
    if (!counts) {
      counts = { dispatched: 0, executing: 0, seats: 0 };
      this.#counts.set(key, counts);
    }
    return counts;
  }

  rejected(level: string, schema: string, reason: string): void {
    count(this.#rejected, `${labels(level, schema)},reason="${reason}"`);
  }

  waited(level: string, schema: string, served: boolean, ms: number): void {
    this.#waits.observe(`execute="${served}",${labels(level, schema)}`, ms / 1000);
  }

  /** Prometheus text. */
  render(flow: FlowControl): string[] {
    const levels = [...flow.levels];
    const ofLevels = (name: string, help: string, value: (level: (typeof levels)[number]) => number) =>
      metric(
        name,
        'gauge',
        help,
        levels.map((level) => [`priority_level="${level.name}"`, value(level)]),
      );
    const ofSchemas = (
      name: string,
      type: 'counter' | 'gauge',
      help: string,
      value: (counts: Counts) => number,
    ) =>
      metric(
        name,
        type,
        help,
        [...this.#counts].map(([key, counts]) => [key, value(counts)]),
      );
    return [
      ...ofLevels('nominal_limit_seats', 'Nominal number of execution seats.', (l) => l.seats.nominal),
      ...ofLevels('lower_limit_seats', 'Lower bound on number of execution seats.', (l) => l.seats.lower),
      ...ofLevels('upper_limit_seats', 'Upper bound on number of execution seats.', (l) => l.seats.upper),
      ...ofLevels('current_limit_seats', 'Execution seats that it has now.', (l) =>
        Math.max(l.seats.nominal, l.used),
      ),
      ...ofLevels('current_inqueue_requests', 'Requests that wait.', (l) => l.waiting),
      ...ofSchemas('current_executing_requests', 'gauge', 'Requests being served.', (c) => c.executing),
      ...ofSchemas('current_executing_seats', 'gauge', 'Seats of requests being served.', (c) => c.seats),
      ...ofSchemas('dispatched_requests_total', 'counter', 'Requests that were served.', (c) => c.dispatched),
      ...metric('rejected_requests_total', 'counter', 'Requests that were turned away.', [...this.#rejected]),
      ...this.#waits.render(),
    ];
  }
}

const labels = (level: string, schema: string): string => `flow_schema="${schema}",priority_level="${level}"`;

const metric = (
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  values: [string, number][],
): string[] => family(`apiserver_flowcontrol_${name}`, type, help, values);
