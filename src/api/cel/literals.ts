/** Checks literals that would fail whenever they are evaluated: times, durations, patterns. */
import type { Expr } from './ast.js';
import { compilePattern } from './library/patterns.js';
import type { Issue } from './source.js';
import { parseDuration, parseTimestamp } from './time.js';

const CHECKS: Record<string, (text: string) => unknown> = {
  duration: parseDuration,
  timestamp: parseTimestamp,
  matches: compilePattern,
};

export function validateLiterals(expr: Expr, issues: Issue[]): void {
  if (expr.kind === 'call') checkCall(expr, issues);
  for (const child of children(expr)) validateLiterals(child, issues);
}

function checkCall(expr: Extract<Expr, { kind: 'call' }>, issues: Issue[]): void {
  const validate = Object.hasOwn(CHECKS, expr.fn) ? CHECKS[expr.fn] : undefined;
  const arg = expr.args.at(-1);
  if (!validate || arg?.kind !== 'const' || typeof arg.value !== 'string') return;
  try {
    validate(arg.value);
  } catch {
    issues.push({ pos: arg.pos, message: `invalid ${expr.fn} argument` });
  }
}

/** The expressions that stand right inside one. */
export function children(expr: Expr): Expr[] {
  switch (expr.kind) {
    case 'const':
    case 'ident':
      return [];
    case 'select':
      return [expr.operand];
    case 'call':
      return expr.target ? [expr.target, ...expr.args] : expr.args;
    case 'list':
      return expr.elements;
    case 'map':
      return expr.entries.flatMap(({ key, value }) => [key, value]);
    case 'struct':
      return expr.entries.map(({ value }) => value);
    case 'fold':
      return [expr.range, expr.init, expr.condition, expr.step, expr.result];
  }
}
