/** A policy's own variables: evaluated when they are first read, and once a request. */
import { CelError, type Expression, MapValue, type Value } from '../../../api/cel/index.js';

export class Variables extends MapValue {
  readonly #expressions: ReadonlyMap<string, Expression>;
  readonly #inputs: Readonly<Record<string, unknown>>;
  readonly #known = new Map<string, Value>();

  /** `inputs` has these variables under `variables`, for those that name others. */
  constructor(expressions: ReadonlyMap<string, Expression>, inputs: Readonly<Record<string, unknown>>) {
    super();
    this.#expressions = expressions;
    this.#inputs = inputs;
  }

  get size(): number {
    return this.#expressions.size;
  }

  keys(): Iterable<Value> {
    return this.#expressions.keys();
  }

  find(key: Value): Value | undefined {
    const name = String(key);
    const known = this.#known.get(name);
    const expression = this.#expressions.get(name);
    if (known !== undefined || !expression) return known;
    const value = evaluated(name, expression, this.#inputs);
    this.#known.set(name, value);
    return value;
  }
}

function evaluated(name: string, expression: Expression, inputs: Readonly<Record<string, unknown>>): Value {
  if ('error' in expression)
    throw new CelError(`composited variable ${JSON.stringify(name)} fails to compile: ${expression.error}`);
  const outcome = expression.program.evaluate(inputs);
  if ('error' in outcome)
    throw new CelError(
      `composited variable ${JSON.stringify(name)} fails to evaluate: ${outcome.error.message}`,
    );
  return outcome.value;
}
