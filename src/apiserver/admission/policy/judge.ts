/** What a ValidatingAdmissionPolicy says of one request with one parameter. */
import type { AuditAnnotation, ValidatingAdmissionPolicy, Validation } from '#types';
import {
  admissionEnvironment,
  BOOL,
  compileFor,
  compileVariables,
  type Expression,
  NULL,
  STRING,
} from '../../../api/cel/index.js';
import type { KubeObject } from '../../../api/machinery/types.js';
import type { CheckError } from '../policy-measures.js';
import { type Conditions, compileConditions } from './conditions.js';
import { evaluate, type Inputs } from './evaluate.js';
import { Variables } from './variables.js';

export interface Decision {
  denied: boolean;
  message: string;
  /** A reason of Status; empty for the usual one. */
  reason: string;
  /** How the expression failed, and how long (ms) it took. */
  error: CheckError;
  ms: number;
}

export interface Judgement {
  /** One for each validation. */
  decisions: Decision[];
  annotations: [key: string, value: string][];
  /** Audit annotations that could not be made, and count. */
  failures: string[];
}

/** What all expressions of a policy may cost for one request: upstream's RuntimeCELCostBudget. */
const BUDGET = 10_000_000;
const MAX_MESSAGE = 5 * 1024;

interface Compiled {
  conditions: Conditions;
  variables: ReadonlyMap<string, Expression>;
  validations: { validation: Validation; expression: Expression; message: Expression | undefined }[];
  annotations: { annotation: AuditAnnotation; expression: Expression }[];
}

const compiled = new WeakMap<object, Compiled>();

function compile(policy: ValidatingAdmissionPolicy): Compiled {
  const known = compiled.get(policy);
  if (known) return known;
  const {
    variables = [],
    validations = [],
    auditAnnotations = [],
    matchConditions = [],
    paramKind,
  } = policy.spec ?? {};
  const scope = { params: paramKind !== undefined };
  const { expressions, types } = compileVariables(scope, variables);
  const composed = { ...scope, ...(variables.length > 0 && { variables: types }) };
  const environment = admissionEnvironment(composed);
  const messages = admissionEnvironment({ ...composed, authorizer: false });
  const made: Compiled = {
    conditions: compileConditions(matchConditions, scope),
    variables: expressions,
    validations: validations.map((validation) => ({
      validation,
      expression: compileFor(environment, validation.expression, [BOOL]),
      message: validation.messageExpression
        ? compileFor(messages, validation.messageExpression, [STRING])
        : undefined,
    })),
    annotations: auditAnnotations.map((annotation) => ({
      annotation,
      expression: compileFor(environment, annotation.valueExpression, [STRING, NULL]),
    })),
  };
  compiled.set(policy, made);
  return made;
}

/** `holds` tells whether the policy's match conditions do; it throws Error where that can't be told. */
export async function judge(
  policy: ValidatingAdmissionPolicy,
  { values }: Inputs,
  param: KubeObject | undefined,
  holds: (conditions: Conditions, inputs: Inputs) => Promise<boolean>,
): Promise<Judgement> {
  const { conditions, variables, validations, annotations } = compile(policy);
  const inputs: Inputs = { values: { ...values, params: param ?? null } };
  inputs.values['variables'] = new Variables(variables, inputs.values);
  const counts = policy.spec?.failurePolicy !== 'Ignore';
  try {
    if (!(await holds(conditions, inputs))) return { decisions: [], annotations: [], failures: [] };
  } catch (error) {
    const message = (error as Error).message;
    const decision: Decision = { denied: counts, message, reason: '', error: 'invalid_error', ms: 0 };
    return { decisions: [decision], annotations: [], failures: [] };
  }
  const judgement: Judgement = { decisions: [], annotations: [], failures: [] };
  const budget = { left: BUDGET };
  for (const each of validations) judgement.decisions.push(await decide(each, inputs, budget, counts));
  for (const each of annotations) await annotate(each, inputs, judgement, counts);
  return judgement;
}

async function decide(
  { validation, expression, message }: Compiled['validations'][number],
  inputs: Inputs,
  budget: { left: number },
  counts: boolean,
): Promise<Decision> {
  const started = performance.now();
  const { value, error, cost } = await evaluate(expression, inputs, budget.left);
  const ms = performance.now() - started;
  budget.left -= cost;
  if (error !== undefined)
    return { denied: counts, message: error, reason: '', error: kindOfError(expression, budget.left), ms };
  if (value === true) return { denied: false, message: '', reason: '', error: 'no_error', ms };
  const made = message && (await madeMessage(message, inputs, budget));
  const text = made || validation.message?.trim() || `failed expression: ${validation.expression.trim()}`;
  return { denied: true, message: text, reason: validation.reason ?? 'Invalid', error: 'no_error', ms };
}

function kindOfError(expression: Expression, left: number): CheckError {
  if ('error' in expression) return 'compile_error';
  return left < 0 ? 'out_of_budget' : 'invalid_error';
}

/** One line of text, or undefined: then the fixed message stands. */
async function madeMessage(
  expression: Expression,
  inputs: Inputs,
  budget: { left: number },
): Promise<string | undefined> {
  const { value, cost } = await evaluate(expression, inputs, budget.left);
  budget.left -= cost;
  const text = typeof value === 'string' ? value.trim() : '';
  return text.includes('\n') || Buffer.byteLength(text) > MAX_MESSAGE ? undefined : text;
}

async function annotate(
  { annotation, expression }: Compiled['annotations'][number],
  inputs: Inputs,
  judgement: Judgement,
  counts: boolean,
): Promise<void> {
  const { value, error } = await evaluate(expression, inputs, BUDGET);
  if (error !== undefined) {
    if (counts) judgement.failures.push(error);
  } else if (typeof value === 'string') {
    if (value.trim() !== '') judgement.annotations.push([annotation.key, value.trim()]);
  } else if (value !== null)
    judgement.failures.push(
      `valueExpression '${annotation.valueExpression}' resulted in unsupported return type. Return type must be either string or null.`,
    );
}
