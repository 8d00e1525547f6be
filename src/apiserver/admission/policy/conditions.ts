/** matchConditions: expressions that all have to be true for a webhook or policy to be concerned. */
import type { MatchCondition } from '#types';
import {
  type AdmissionScope,
  admissionEnvironment,
  BOOL,
  compileFor,
  type Expression,
} from '../../../api/cel/index.js';
import type { ConditionsOf, PolicyMeasures } from '../policy-measures.js';
import { evaluate, type Inputs } from './evaluate.js';

export type Conditions = readonly Expression[];

/** What all match conditions of one webhook or policy may cost together (upstream's RuntimeCELCostBudgetMatchConditions). */
const BUDGET = 2_500_000;

export function compileConditions(
  conditions: readonly MatchCondition[],
  scope: AdmissionScope = {},
): Conditions {
  if (conditions.length === 0) return [];
  const environment = admissionEnvironment(scope);
  return conditions.map(({ expression }) => compileFor(environment, expression, [BOOL]));
}

/** Whether all are true; one that is false decides, also beside errors. Throws Error where none is false and one fails. */
export async function conditionsHold(
  conditions: Conditions,
  inputs: Inputs,
  measures: PolicyMeasures,
  of: ConditionsOf,
): Promise<boolean> {
  if (conditions.length === 0) return true;
  const started = performance.now();
  try {
    return await allHold(conditions, inputs, () => measures.conditionFailed(of));
  } finally {
    measures.conditionsTook(of, performance.now() - started);
  }
}

async function allHold(conditions: Conditions, inputs: Inputs, failed: () => void): Promise<boolean> {
  let budget = BUDGET;
  const failures: string[] = [];
  for (const expression of conditions) {
    const { value, error, cost } = await evaluate(expression, inputs, budget);
    budget -= cost;
    if (value === false) return false;
    if (error === undefined) continue;
    failures.push(error);
    failed();
  }
  if (failures.length === 0) return true;
  throw new Error(failures.length === 1 ? failures[0] : `[${failures.join(', ')}]`);
}
