/** Patterns of expressions: one that is none is an error of the expression. */
import * as patterns from '../../machinery/patterns.js';
import { CelError } from '../errors.js';

/** Throws CelError where the pattern is none. */
export function compilePattern(pattern: string): patterns.Pattern {
  try {
    return patterns.compilePattern(pattern);
  } catch (error) {
    throw new CelError((error as Error).message);
  }
}
