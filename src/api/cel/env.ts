/** Environments: what expressions may name, and their compilation. */
import { adapt } from './adapt.js';
import type { Expr } from './ast.js';
import { type Checked, check } from './checker.js';
import type { Overload } from './declare.js';
import { CelError, CostError } from './errors.js';
import { kubernetesLibraries } from './library/index.js';
import { validateLiterals } from './literals.js';
import { parse } from './parser.js';
import { type Frame, plan, type Step } from './plan.js';
import { formatIssues, type Issue } from './source.js';
import type { Type } from './types.js';
import { sameType } from './unify.js';
import type { Value } from './values.js';

/** What one expression may cost: upstream's PerCallLimit. */
export const PER_CALL_LIMIT = 1_000_000;

/** How an evaluation ended. `cost` counts what was spent, also when it failed. */
export type Outcome = { value: Value; cost: number } | { error: CelError | CostError; cost: number };

export interface Program {
  source: string;
  type: Type;
  ast: Expr;
  checked: Checked;
  /** Inputs are JSON or values; those not given are unknown attributes. `budget` ends it sooner than the limit of a call. */
  evaluate(inputs: Readonly<Record<string, unknown>>, budget?: number): Outcome;
}

export type Compiled = { program: Program } | { issues: Issue[]; text: string };

export interface Environment {
  compile(source: string): Compiled;
  /** A new environment with more variables, functions or types. */
  extend(more: EnvironmentOptions): Environment;
}

export interface EnvironmentOptions {
  variables?: Readonly<Record<string, Type>>;
  functions?: readonly Overload[];
  /** Types that expressions can make: `Name{…}`. */
  struct?(name: string): Type | undefined;
}

interface Declarations {
  variables: ReadonlyMap<string, Type>;
  functions: ReadonlyMap<string, readonly Overload[]>;
  struct(name: string): Type | undefined;
}

/** All that Kubernetes has in every environment, and `options`. */
export function createEnvironment(options: EnvironmentOptions = {}): Environment {
  return environment(extended(base(), options));
}

let shared: Declarations | undefined;
const base = (): Declarations => {
  shared ??= { variables: new Map(), functions: group(kubernetesLibraries), struct: () => undefined };
  return shared;
};

function group(
  overloads: readonly Overload[],
  into: ReadonlyMap<string, readonly Overload[]> = new Map(),
): ReadonlyMap<string, readonly Overload[]> {
  const map = new Map(into);
  for (const overload of overloads) map.set(overload.name, [...(map.get(overload.name) ?? []), overload]);
  return map;
}

function extended(of: Declarations, { variables, functions, struct }: EnvironmentOptions): Declarations {
  return {
    variables: variables ? new Map([...of.variables, ...Object.entries(variables)]) : of.variables,
    functions: functions ? group(functions, of.functions) : of.functions,
    struct: struct ? (name) => struct(name) ?? of.struct(name) : of.struct,
  };
}

function environment(declarations: Declarations): Environment {
  return {
    compile: (source) => compile(declarations, source),
    extend: (more) => environment(extended(declarations, more)),
  };
}

function compile(declarations: Declarations, source: string): Compiled {
  const { expr, issues } = parse(source);
  if (!expr) return failed(source, issues);
  const checked = check(expr, declarations, issues);
  if (issues.length === 0) validateLiterals(expr, issues);
  if (issues.length > 0) return failed(source, issues);
  const run = plan(expr, checked, declarations.struct);
  const { variables } = declarations;
  return {
    program: {
      source,
      type: checked.type,
      ast: expr,
      checked,
      evaluate: (inputs, budget = PER_CALL_LIMIT) => evaluate(run, variables, inputs, budget),
    },
  };
}

const failed = (source: string, issues: Issue[]): Compiled => ({
  issues,
  text: formatIssues(source, issues),
});

function evaluate(
  run: Step,
  variables: ReadonlyMap<string, Type>,
  inputs: Readonly<Record<string, unknown>>,
  budget: number,
): Outcome {
  const known = new Map<string, Value>();
  const frame: Frame = {
    locals: new Map(),
    cost: 0,
    limit: Math.min(budget, PER_CALL_LIMIT),
    variable(name) {
      const value = known.get(name);
      if (value !== undefined || !(name in inputs)) return value!;
      const adapted = adapt(inputs[name], variables.get(name)!);
      known.set(name, adapted);
      return adapted;
    },
  };
  try {
    return { value: run(frame), cost: frame.cost };
  } catch (error) {
    if (error instanceof CelError || error instanceof CostError) return { error, cost: frame.cost };
    // Deep recursion in the evaluator is the expression's fault, not the server's.
    if (error instanceof RangeError)
      return { error: new CelError('expression is too deep'), cost: frame.cost };
    throw error;
  }
}

/** Whether a program gives one of the types; dyn fits all. */
export const returns = ({ type }: Program, wanted: readonly Type[]): boolean =>
  type.kind === 'dyn' || wanted.some((each) => sameType(type, each));
