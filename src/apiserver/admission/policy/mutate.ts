/** The changes of one MutatingAdmissionPolicy. */
import type { MutatingAdmissionPolicy, Mutation } from '#types';
import { mergeConfiguration } from '../../../api/apply/index.js';
import {
  APPLY_CONFIGURATION,
  compileFor,
  compileVariables,
  type Expression,
  JSON_PATCH,
  ListValue,
  listOf,
  mutationEnvironment,
  toJson,
} from '../../../api/cel/index.js';
import type { KubeObject } from '../../../api/machinery/types.js';
import { applyJsonPatch } from '../../../api/patch/index.js';
import type { ConversionWebhook } from '../../extensions/convert.js';
import type { AdmissionRequest } from '../admission.js';
import type { Matched } from '../matching.js';
import { replaceObject } from '../replace.js';
import { type Conditions, compileConditions } from './conditions.js';
import { evaluate, type Inputs } from './evaluate.js';

export interface CompiledMutations {
  conditions: Conditions;
  variables: ReadonlyMap<string, Expression>;
  mutations: { type: Mutation['patchType']; expression: Expression }[];
}

const BUDGET = 10_000_000;
const compiled = new WeakMap<object, CompiledMutations>();

export function compileMutations(policy: MutatingAdmissionPolicy): CompiledMutations {
  const known = compiled.get(policy);
  if (known) return known;
  const { variables = [], mutations = [], matchConditions = [], paramKind } = policy.spec ?? {};
  const scope = { params: paramKind !== undefined };
  const { expressions, types } = compileVariables(scope, variables, mutationEnvironment);
  const environment = mutationEnvironment({ ...scope, ...(variables.length > 0 && { variables: types }) });
  const made: CompiledMutations = {
    conditions: compileConditions(matchConditions, scope),
    variables: expressions,
    mutations: mutations.map(({ patchType, applyConfiguration, jsonPatch }) => ({
      type: patchType,
      expression:
        patchType === 'JSONPatch'
          ? compileFor(environment, jsonPatch?.expression ?? '', [listOf(JSON_PATCH)])
          : compileFor(environment, applyConfiguration?.expression ?? '', [APPLY_CONFIGURATION]),
    })),
  };
  compiled.set(policy, made);
  return made;
}

/** Changes the request's object. Throws Error with what stands in the way. */
export async function mutate(
  convert: ConversionWebhook,
  request: AdmissionRequest,
  matched: Matched,
  { type, expression }: CompiledMutations['mutations'][number],
  inputs: Inputs,
): Promise<void> {
  const { value, error } = await evaluate(expression, inputs, BUDGET);
  if (error !== undefined) throw new Error(error);
  if (type === 'JSONPatch') {
    const operations = value instanceof ListValue ? Array.from(value, toJson) : [];
    await replaceObject(convert, request, matched, (object) => applyPatch(object, operations));
    return;
  }
  const configuration = toJson(value!) as Record<string, unknown>;
  await replaceObject(convert, request, matched, (object) => apply(object, configuration));
}

function applyPatch(object: KubeObject, operations: unknown[]): KubeObject {
  try {
    return applyJsonPatch(object, operations);
  } catch (error) {
    const { cause, message } = error as Error;
    throw new Error(`JSON Patch: ${typeof cause === 'string' ? cause : message}`);
  }
}

function apply(object: KubeObject, configuration: Record<string, unknown>): KubeObject {
  const { apiVersion, kind } = object;
  try {
    return mergeConfiguration(object, { ...configuration, apiVersion, kind } as unknown as KubeObject);
  } catch (error) {
    throw new Error(`error applying patch: ${(error as Error).message}`);
  }
}
