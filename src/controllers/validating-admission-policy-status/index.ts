/**
 * Tells in the status of ValidatingAdmissionPolicies which expressions do not fit the types that they are for.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/#type-checking
 */
import { isReason } from '../../api/machinery/status.js';
import { validatingAdmissionPolicies } from '../../api/resources/index.js';
import { type Controller, type ControllersOptions, contextOf, WorkLoop } from '../context.js';
import { typeCheck } from './type-check.js';

export function startValidatingAdmissionPolicyStatus(options: ControllersOptions): Controller {
  const context = contextOf(options, 'validatingadmissionpolicy-status-controller');
  const all = context.informers.of(validatingAdmissionPolicies);

  const reconcile = async (name: string): Promise<void> => {
    const policy = all.get(name);
    const generation = policy?.metadata?.generation;
    if (!policy || policy.status?.observedGeneration === generation) return;
    const warnings = typeCheck(policy);
    const typeChecking = warnings ? { expressionWarnings: warnings } : {};
    const status = { ...policy.status, observedGeneration: generation, typeChecking };
    try {
      await context.client.of(validatingAdmissionPolicies).updateStatus({ ...policy, status });
    } catch (error) {
      if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict')) throw error;
    }
  };

  const loop = new WorkLoop(context, [all.synced], reconcile);
  const add = ({ metadata }: { metadata?: { name?: string } }) => loop.queue.add(metadata!.name!);
  loop.onClose(all.on({ added: add, updated: (_old, policy) => add(policy) }));
  return loop;
}
