/**
 * MutatingAdmissionPolicy: changes that the server makes itself.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/
 */
import { isDeepStrictEqual } from 'node:util';
import type { MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding } from '#types';
import { StatusError } from '../../../api/machinery/status.js';
import type { KubeObject } from '../../../api/machinery/types.js';
import { type AdmissionPlugin, type AdmissionRequest, refuse, requestReinvocation } from '../admission.js';
import { isExempt, type Matched } from '../matching.js';
import type { ConditionsOf } from '../policy-measures.js';
import { type Rounds, roundsOf } from '../rounds.js';
import { conditionsHold } from './conditions.js';
import { type Inputs, inputsOf } from './evaluate.js';
import { type CompiledMutations, compileMutations, mutate } from './mutate.js';
import { namespaceOf } from './namespace.js';
import { ConfigurationError, collectParams, paramResource } from './params.js';
import { bindingMatches, boundPolicies, matchResources } from './policies.js';
import type { PolicyParts } from './validating.js';
import { Variables } from './variables.js';

interface Invocation {
  policy: MutatingAdmissionPolicy;
  binding: MutatingAdmissionPolicyBinding;
  matched: Matched;
  param: KubeObject | undefined;
}

interface PolicyError {
  policy: MutatingAdmissionPolicy;
  binding: MutatingAdmissionPolicyBinding | undefined;
  message: string;
  reason?: 'Invalid';
}

/** One after the other, each on what those before made of the object; what goes wrong is told of all at once. */
export function mutatingPolicies(parts: PolicyParts): AdmissionPlugin {
  return {
    name: 'MutatingAdmissionPolicy',
    async admit(request) {
      if (isExempt(request) || !request.object) return;
      const bound = await boundPolicies(
        parts.store,
        'mutatingadmissionpolicies',
        'mutatingadmissionpolicybindings',
      );
      if (bound.length === 0) return;
      const errors: PolicyError[] = [];
      const invocations: Invocation[] = [];
      for (const { policy, bindings } of bound)
        invocations.push(
          ...(await invocationsOf(
            parts,
            request,
            policy as MutatingAdmissionPolicy,
            bindings as MutatingAdmissionPolicyBinding[],
            errors,
          )),
        );
      const rounds = roundsOf(request, 'policies');
      for (const each of invocations) await invoke(parts, request, each, rounds, errors);
      rounds.leave(request.object);
      const counted = errors.filter(({ policy }) => policy.spec?.failurePolicy !== 'Ignore');
      if (counted.length > 0) throw denied(request, counted);
    },
  };
}

/** One for each binding that the request concerns and each of its parameters. */
async function invocationsOf(
  parts: PolicyParts,
  request: AdmissionRequest,
  policy: MutatingAdmissionPolicy,
  bindings: MutatingAdmissionPolicyBinding[],
  errors: PolicyError[],
): Promise<Invocation[]> {
  const { store } = parts;
  const { spec = {} } = policy;
  const matched = matchResources(store, request, spec.matchConstraints ?? {});
  if (!matched) return [];
  const misconfigured = (error: unknown, binding?: MutatingAdmissionPolicyBinding): undefined => {
    if (!(error instanceof ConfigurationError)) throw error;
    const what = binding ? 'binding' : 'policy';
    errors.push({ policy, binding, message: `failed to configure ${what}: ${error.message}` });
  };
  const invocations: Invocation[] = [];
  const resource = await paramResource(store, spec.paramKind).catch((error) => misconfigured(error));
  if (spec.paramKind && !resource) return [];
  for (const binding of bindings) {
    if (!bindingMatches(store, request, binding.spec?.matchResources)) continue;
    try {
      const params = await collectParams(parts, resource, binding.spec?.paramRef, request.namespace);
      for (const param of params) invocations.push({ policy, binding, matched, param });
    } catch (error) {
      misconfigured(error, binding);
    }
  }
  return invocations;
}

async function invoke(
  parts: PolicyParts,
  request: AdmissionRequest,
  { policy, binding, matched, param }: Invocation,
  rounds: Rounds,
  errors: PolicyError[],
): Promise<void> {
  const key = [
    policy.metadata!.name,
    binding.metadata!.name,
    param?.metadata.namespace,
    param?.metadata.name,
  ].join('/');
  const compiled = compileMutations(policy);
  const namespace = namespaceOf(parts.store, request);
  const inputs = async () =>
    withVariables(compiled, await inputsOf(parts, request, matched, namespace), param);
  const { name } = policy.metadata!;
  const of: ConditionsOf = { name: name!, kind: 'policy', type: 'validate', operation: request.operation };
  try {
    const { policies } = parts.measures;
    if (!(await conditionsHold(compiled.conditions, await inputs(), policies, of)) || rounds.skips(key))
      return;
    const before = structuredClone(request.object);
    for (const mutation of compiled.mutations)
      await mutate(parts.convert, request, matched, mutation, await inputs());
    if (!isDeepStrictEqual(before, request.object)) {
      rounds.callAgain();
      requestReinvocation(request);
    }
  } catch (error) {
    errors.push({ policy, binding, message: (error as Error).message, reason: 'Invalid' });
  }
  if (policy.spec?.reinvocationPolicy === 'IfNeeded') rounds.called(key);
}

function withVariables(
  { variables }: CompiledMutations,
  { values }: Inputs,
  param: KubeObject | undefined,
): Inputs {
  const all: Record<string, unknown> = { ...values, params: param ?? null };
  all['variables'] = new Variables(variables, all);
  return { values: all };
}

/** The first error gives message and reason; the code is that of a refusal in any case. */
function denied(request: AdmissionRequest, errors: readonly PolicyError[]): StatusError {
  const causes = errors.map((error) => ({ message: textOf(error) }));
  const { code, reason, details } = refuse(request, '');
  return new StatusError(code, errors[0]!.reason ?? reason, causes[0]!.message, { ...details, causes });
}

function textOf({ policy, binding, message }: PolicyError): string {
  const name = policy.metadata!.name!;
  const who = binding ? `'${name}' with binding '${binding.metadata!.name}'` : `"${name}"`;
  return `policy ${who} denied request: ${message}`;
}
