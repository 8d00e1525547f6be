/**
 * Tells in the status of ValidatingAdmissionPolicies which expressions do not fit the types that they are for.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/#type-checking
 */
import type { CustomResourceDefinition } from '#types';
import { isReason } from '../../api/machinery/status.js';
import { sameJson } from '../../api/machinery/validation.js';
import { customResourceDefinitions } from '../../api/resources/apiextensions/custom-resource-definition.js';
import { validatingAdmissionPolicies } from '../../api/resources/index.js';
import { type Controller, type ControllersOptions, contextOf, WorkLoop } from '../context.js';
import { customKindsOf } from '../custom-kinds.js';
import { concerns, typeCheck } from './type-check.js';

export function startValidatingAdmissionPolicyStatus(options: ControllersOptions): Controller {
  const context = contextOf(options, 'validatingadmissionpolicy-status-controller');
  const all = context.informers.of(validatingAdmissionPolicies);

  const custom = customKindsOf(context.informers);
  /** Policies that speak of kinds that came, went or changed since they were checked. */
  const outdated = new Set<string>();

  const reconcile = async (name: string): Promise<void> => {
    const policy = all.get(name);
    const generation = policy?.metadata?.generation;
    const again = outdated.delete(name);
    if (!policy || (policy.status?.observedGeneration === generation && !again)) return;
    const warnings = typeCheck(
      policy,
      custom.list().flatMap((resource) => resource.custom!.definition.served),
    );
    const typeChecking = warnings ? { expressionWarnings: warnings } : {};
    if (
      policy.status?.observedGeneration === generation &&
      sameJson(policy.status?.typeChecking, typeChecking)
    )
      return;
    const status = { ...policy.status, observedGeneration: generation, typeChecking };
    try {
      await context.client.of(validatingAdmissionPolicies).updateStatus({ ...policy, status });
    } catch (error) {
      if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict')) throw error;
    }
  };

  const definitions = context.informers.of(customResourceDefinitions);
  const loop = new WorkLoop(context, [all.synced, definitions.synced], reconcile);
  const add = ({ metadata }: { metadata?: { name?: string } }) => loop.queue.add(metadata!.name!);
  const recheck = ({ spec }: CustomResourceDefinition) => {
    for (const policy of all.list())
      if (concerns(policy, spec.group)) {
        outdated.add(policy.metadata.name);
        add(policy);
      }
  };
  loop.onClose(
    all.on({ added: add, updated: (_old, policy) => add(policy) }),
    definitions.on({ added: recheck, updated: (_old, definition) => recheck(definition), deleted: recheck }),
  );
  return loop;
}
