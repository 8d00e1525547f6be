/** How an evaluation fails. */

/** An error of an expression; `&&`, `||` and macros may absorb it. The message is cel-go's. */
export class CelError extends Error {}

/** The budget is spent: ends the evaluation whatever is around it. */
export class CostError extends Error {
  constructor() {
    super('operation cancelled: actual cost limit exceeded');
  }
}

export const noSuchOverload = (): CelError => new CelError('no such overload');
export const noSuchKey = (key: unknown): CelError => new CelError(`no such key: ${String(key)}`);
