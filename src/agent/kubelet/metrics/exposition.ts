/** The Prometheus text format, with times of their own for samples. */
import type { Call } from '../answers.js';

export type Labels = Record<string, string>;

export interface Family {
  name: string;
  help: string;
  type: 'counter' | 'gauge';
  samples: Sample[];
}

export interface Sample {
  labels?: Labels;
  value: number;
  /** ms; the time of the scrape when absent. */
  time?: number;
}

/** Families without a sample are left out. */
export const exposition = (families: Family[]): string =>
  families
    .filter(({ samples }) => samples.length > 0)
    .map(({ name, help, type, samples }) => {
      const lines = samples.map(
        (sample) => `${name}${labelText(sample.labels)} ${number(sample.value)}${at(sample)}`,
      );
      return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('\n')}\n`;
    })
    .join('');

function labelText(labels: Labels = {}): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`))}"`,
  );
  return pairs.length > 0 ? `{${pairs.join(',')}}` : '';
}

const number = (value: number): string =>
  value === Number.POSITIVE_INFINITY ? '+Inf' : value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);

const at = ({ time }: Sample): string => (time === undefined ? '' : ` ${time}`);

export function writeMetrics({ response }: Call, families: Family[]): void {
  response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
  response.end(exposition(families));
}
