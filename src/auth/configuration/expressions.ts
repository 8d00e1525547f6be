/** CEL over the claims of a token, or over the user that was made of them; also over a request. */
import { createEnvironment, DYN, toJson } from '../../api/cel/index.js';

/** Throws an Error where the expression has no value. */
export type Expression = (value: any) => unknown;

/** Throws an Error that says what does not compile. */
export function expression(source: string, variable: 'claims' | 'user' | 'request'): Expression {
  const compiled = createEnvironment({ variables: { [variable]: DYN } }).compile(source);
  if ('issues' in compiled) throw new Error(`compilation failed: ${compiled.text}`);
  return (value) => {
    const outcome = compiled.program.evaluate({ [variable]: value });
    if ('error' in outcome) throw outcome.error;
    return toJson(outcome.value);
  };
}
