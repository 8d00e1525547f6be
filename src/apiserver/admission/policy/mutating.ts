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

/** One after the other, each on what those before made of the object. */
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
      const rounds = roundsOf(request, 'policies');
      for (const { policy, bindings } of bound)
        for (const binding of bindings)
          await applyBinding(
            parts,
            request,
            policy as MutatingAdmissionPolicy,
            binding as MutatingAdmissionPolicyBinding,
            rounds,
          );
      rounds.leave(request.object);
    },
  };
}

async function applyBinding(
  parts: PolicyParts,
  request: AdmissionRequest,
  policy: MutatingAdmissionPolicy,
  binding: MutatingAdmissionPolicyBinding,
  rounds: Rounds,
): Promise<void> {
  const { store } = parts;
  const { spec = {} } = policy;
  const matched = matchResources(store, request, spec.matchConstraints ?? {});
  if (!matched || !bindingMatches(store, request, binding.spec?.matchResources)) return;
  try {
    const resource = await paramResource(store, spec.paramKind);
    const params = await collectParams(parts, resource, binding.spec?.paramRef, request.namespace);
    for (const param of params) await invoke(parts, request, { policy, binding, matched, param }, rounds);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    if (spec.failurePolicy !== 'Ignore') throw denied(request, policy, binding, error.message);
  }
}

async function invoke(
  parts: PolicyParts,
  request: AdmissionRequest,
  { policy, binding, matched, param }: Invocation,
  rounds: Rounds,
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
  try {
    if (!(await conditionsHold(compiled.conditions, await inputs())) || rounds.skips(key)) return;
    const before = structuredClone(request.object);
    for (const mutation of compiled.mutations)
      await mutate(parts.convert, request, matched, mutation, await inputs());
    if (!isDeepStrictEqual(before, request.object)) {
      rounds.callAgain();
      requestReinvocation(request);
    }
  } catch (error) {
    if (policy.spec?.failurePolicy !== 'Ignore')
      throw denied(request, policy, binding, (error as Error).message);
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

function denied(
  request: AdmissionRequest,
  policy: MutatingAdmissionPolicy,
  binding: MutatingAdmissionPolicyBinding,
  why: string,
): StatusError {
  const message = `policy '${policy.metadata!.name}' with binding '${binding.metadata!.name}' denied request: ${why}`;
  const error = refuse(request, message);
  return new StatusError(422, 'Invalid', error.message, { ...error.details, causes: [{ message }] });
}
