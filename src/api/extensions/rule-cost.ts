/** What the rules of a schema may cost, before any object is there: upstream's limits for expressions and schemas. */
import { estimateCost, MAX_REQUEST, minSize, type Program, type TypeSchema } from '../cel/index.js';
import { type FieldError, forbidden } from '../machinery/field.js';
import { itemsOf, type Schema, valuesOf } from './schema.js';

const EXPRESSION_LIMIT = 10_000_000;
const SCHEMA_LIMIT = 100_000_000;
/** So many of the most expensive expressions are named, where all together are too much. */
const NAMED = 4;

/** How many values there may be of what is in a value of `schema`, of which there are `count`; undefined: no bound. */
export function countInside(schema: Schema, count: number | undefined): number | undefined {
  if (count === undefined) return undefined;
  const bound = (max: number | undefined) => (max === undefined ? undefined : count * Math.max(0, max));
  if (itemsOf(schema)) return bound(schema.maxItems);
  return valuesOf(schema) ? bound(schema.maxProperties) : count;
}

/** Adds up what the expressions of one schema cost. */
export class RuleCosts {
  #total = 0;
  #expensive: { path: string; cost: number }[] = [];

  /** A rule, run once for each of `count` values; without a bound, for as many as a request can hold. */
  rule(program: Program, schema: Schema, count: number | undefined, path: string): FieldError[] {
    const times = count ?? Math.floor(MAX_REQUEST / (minSize(schema as TypeSchema) + 1));
    return this.#add('estimated rule cost', estimateCost(program) * times, path);
  }

  message(program: Program, path: string): FieldError[] {
    return this.#add('estimated messageExpression cost', estimateCost(program), path);
  }

  #add(what: string, cost: number, path: string): FieldError[] {
    this.#total += cost;
    if (cost >= SCHEMA_LIMIT / 100)
      this.#expensive = [...this.#expensive, { path, cost }].sort((a, b) => b.cost - a.cost).slice(0, NAMED);
    return cost > EXPRESSION_LIMIT ? [forbidden(path, excess(what, cost / EXPRESSION_LIMIT))] : [];
  }

  /** What is wrong with the sum. */
  total(path: string): FieldError[] {
    if (this.#total <= SCHEMA_LIMIT) return [];
    const what = 'estimated rule cost total';
    return [
      ...this.#expensive.map((each) =>
        forbidden(each.path, `contributed to ${what} exceeding cost limit for entire OpenAPIv3 schema`),
      ),
      forbidden(
        path,
        excess(`x-kubernetes-validations ${what} for entire OpenAPIv3 schema`, this.#total / SCHEMA_LIMIT),
      ),
    ];
  }
}

function excess(what: string, factor: number): string {
  const times = factor > 100 ? 'more than 100' : factor.toFixed(factor < 1.5 ? 6 : 1);
  return `${what} exceeds budget by factor of ${times}x (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)`;
}
