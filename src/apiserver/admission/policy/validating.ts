/**
 * ValidatingAdmissionPolicy: policies that the server evaluates itself.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
 */
import type { ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding } from '#types';
import { StatusError } from '../../../api/machinery/status.js';
import type { KubeObject } from '../../../api/machinery/types.js';
import type { Resource } from '../../../api/resources/define.js';
import type { Authorizer } from '../../../auth/user.js';
import type { Store } from '../../../store/store.js';
import type { ConversionWebhook } from '../../extensions/convert.js';
import { type AdmissionPlugin, type AdmissionRequest, annotateAudit, refuse } from '../admission.js';
import { isExempt, type Matched } from '../matching.js';
import type { AdmissionMeasures } from '../measures.js';
import type { CheckAction, ConditionsOf, PolicyMeasures } from '../policy-measures.js';
import { conditionsHold } from './conditions.js';
import { inputsOf } from './evaluate.js';
import { type Decision, type Judgement, judge } from './judge.js';
import { namespaceOf } from './namespace.js';
import { ConfigurationError, collectParams, paramResource } from './params.js';
import { bindingMatches, boundPolicies, matchResources } from './policies.js';

export interface PolicyParts {
  store: Store;
  authorizer: Authorizer;
  measures: AdmissionMeasures;
  /** Converts custom objects whose versions differ in more than their names. */
  convert: ConversionWebhook;
}

interface Denial extends Pick<Decision, 'denied' | 'message' | 'reason'> {
  policy: string;
  binding?: string;
}

const CODES: Record<string, number> = {
  Forbidden: 403,
  Unauthorized: 401,
  RequestEntityTooLarge: 413,
  Invalid: 422,
};
/** The longest audit annotation. */
const MAX_ANNOTATION = 10 * 1024;

export function validatingPolicies(parts: PolicyParts): AdmissionPlugin {
  return {
    name: 'ValidatingAdmissionPolicy',
    async validate(request) {
      if (isExempt(request)) return;
      const bound = await boundPolicies(
        parts.store,
        'validatingadmissionpolicies',
        'validatingadmissionpolicybindings',
      );
      const denials: Denial[] = [];
      for (const { policy, bindings } of bound) await apply(parts, request, policy, bindings, denials);
      if (denials.length > 0) throw denied(request, denials[0]!);
    },
  };
}

async function apply(
  parts: PolicyParts,
  request: AdmissionRequest,
  object: KubeObject,
  bindings: KubeObject[],
  denials: Denial[],
): Promise<void> {
  const policy = object as unknown as ValidatingAdmissionPolicy;
  const { spec = {}, metadata } = policy;
  const name = metadata!.name!;
  const matched = matchResources(parts.store, request, spec.matchConstraints ?? {});
  if (!matched) return;
  /** What counts as a denial where the policy, or the binding, can't be followed. */
  const misconfigured = (error: unknown, what: 'policy' | 'binding', binding?: string): undefined => {
    if (!(error instanceof ConfigurationError)) throw error;
    if (spec.failurePolicy === 'Ignore') return undefined;
    const message = `failed to configure ${what}: ${error.message}`;
    denials.push({ policy: name, ...(binding && { binding }), denied: true, reason: '', message });
    return undefined;
  };
  const params = await paramResource(parts.store, spec.paramKind).catch((error) =>
    misconfigured(error, 'policy'),
  );
  if (spec.paramKind && !params) return;
  const annotations = new Map<string, Set<string>>();
  for (const binding of bindings as unknown as ValidatingAdmissionPolicyBinding[]) {
    const judgements = await judgeBinding(parts, request, matched, policy, binding, params).catch((error) => {
      misconfigured(error, 'binding', binding.metadata!.name!);
      return [];
    });
    const { policies } = parts.measures;
    for (const judgement of judgements) {
      measureChecks(policies, name, binding, judgement);
      enforce(request, name, binding, judgement, denials, annotations);
    }
  }
  for (const [key, values] of annotations) annotateAudit(request, `${name}/${key}`, [...values].join(', '));
}

async function judgeBinding(
  parts: PolicyParts,
  request: AdmissionRequest,
  matched: Matched,
  policy: ValidatingAdmissionPolicy,
  binding: ValidatingAdmissionPolicyBinding,
  resource: Resource | undefined,
): Promise<Judgement[]> {
  const { store } = parts;
  if (!bindingMatches(store, request, binding.spec?.matchResources)) return [];
  const params = await collectParams(parts, resource, binding.spec?.paramRef, request.namespace);
  const namespace = namespaceOf(store, request);
  const judgements: Judgement[] = [];
  const { name } = policy.metadata!;
  const of: ConditionsOf = { name: name!, kind: 'policy', type: 'validate', operation: request.operation };
  const { policies } = parts.measures;
  for (const param of params) {
    const inputs = await inputsOf(parts, request, matched, namespace);
    judgements.push(
      await judge(policy, inputs, param, (conditions, at) => conditionsHold(conditions, at, policies, of)),
    );
  }
  return judgements;
}

const ACTIONS: Record<string, CheckAction> = { Deny: 'deny', Audit: 'audit', Warn: 'warn' };

/** Counts the validations that refused something, and those that failed and are ignored. */
function measureChecks(
  measures: PolicyMeasures,
  policy: string,
  { metadata, spec }: ValidatingAdmissionPolicyBinding,
  { decisions }: Judgement,
): void {
  for (const { denied, error, ms } of decisions) {
    if (!denied && error === 'no_error') continue;
    const actions = denied ? (spec?.validationActions ?? []) : [''];
    for (const action of actions)
      measures.checked(policy, metadata!.name!, error, ACTIONS[action] ?? 'allow', ms);
  }
}

/** Does with a judgement what the binding asks for. */
function enforce(
  request: AdmissionRequest,
  policy: string,
  { metadata, spec }: ValidatingAdmissionPolicyBinding,
  { decisions, annotations, failures }: Judgement,
  denials: Denial[],
  collected: Map<string, Set<string>>,
): void {
  const binding = metadata!.name!;
  const actions = spec?.validationActions ?? [];
  decisions.forEach((decision, expressionIndex) => {
    if (!decision.denied) return;
    const { message } = decision;
    if (actions.includes('Deny')) denials.push({ ...decision, policy, binding });
    if (actions.includes('Warn'))
      request.warnings.push(
        `Validation failed for ValidatingAdmissionPolicy '${policy}' with binding '${binding}': ${message}`,
      );
    if (actions.includes('Audit')) {
      const failure = [{ message, policy, binding, expressionIndex, validationActions: actions }];
      annotateAudit(
        request,
        'validation.policy.admission.k8s.io/validation_failure',
        JSON.stringify(failure),
      );
    }
  });
  for (const [key, value] of annotations) {
    const values = collected.get(key) ?? new Set();
    collected.set(key, values.add(value.slice(0, MAX_ANNOTATION)));
  }
  for (const message of failures) denials.push({ policy, binding, denied: true, reason: '', message });
}

function denied(request: AdmissionRequest, { policy, binding, message, reason }: Denial): StatusError {
  const by = binding === undefined ? '' : ` with binding '${binding}'`;
  const text = `ValidatingAdmissionPolicy '${policy}'${by} denied request: ${message}`;
  const error = refuse(request, text);
  const given = reason || 'Invalid';
  return new StatusError(CODES[given] ?? 422, given, error.message, {
    ...error.details,
    causes: [{ message: text }],
  });
}
