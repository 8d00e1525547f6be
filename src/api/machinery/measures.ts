/** What is counted and measured, as Prometheus text: an observation is a map look-up, text is made when somebody asks. */

/** Label pairs as they are printed: `resource="pods",verb="LIST"`. */
export type LabelText = string;

/** In the order that is given, with escaped values. */
export const labelText = (labels: Record<string, string>): LabelText =>
  Object.entries(labels)
    .map(([name, value]) => `${name}="${escapeLabel(value)}"`)
    .join(',');

export const escapeLabel = (value: string): string =>
  value.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));

/** The lines of a family of counters or gauges. */
export function family(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  values: Iterable<readonly [LabelText, number]>,
): string[] {
  const samples = [...values].map(([labels, value]) => `${name}${labels && `{${labels}}`} ${value}`);
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...samples];
}

/** Adds to the value of these labels. */
export function count(values: Map<LabelText, number>, labels: LabelText, change = 1): void {
  values.set(labels, (values.get(labels) ?? 0) + change);
}

interface Observed {
  /** By bucket, the last for what is over all limits; not cumulative. */
  counts: number[];
  sum: number;
}

export class Histograms {
  readonly #observed = new Map<LabelText, Observed>();

  /** `limits`: upper bounds of the buckets, ascending. */
  constructor(
    private readonly name: string,
    private readonly help: string,
    private readonly limits: readonly number[],
  ) {}

  observe(labels: LabelText, value: number): void {
    let observed = this.#observed.get(labels);
    if (!observed) {
      observed = { counts: new Array(this.limits.length + 1).fill(0), sum: 0 };
      this.#observed.set(labels, observed);
    }
    const bucket = this.limits.findIndex((limit) => value <= limit);
    observed.counts[bucket < 0 ? this.limits.length : bucket]! += 1;
    observed.sum += value;
  }

  render(): string[] {
    const { name } = this;
    const lines = [`# HELP ${name} ${this.help}`, `# TYPE ${name} histogram`];
    for (const [labels, { counts, sum }] of this.#observed) {
      let total = 0;
      const before = labels && `${labels},`;
      counts.forEach((n, i) => {
        total += n;
        lines.push(`${name}_bucket{${before}le="${this.limits[i] ?? '+Inf'}"} ${total}`);
      });
      const braces = labels && `{${labels}}`;
      lines.push(`${name}_sum${braces} ${sum}`, `${name}_count${braces} ${total}`);
    }
    return lines;
  }
}
