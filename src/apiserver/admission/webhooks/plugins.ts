/**
 * MutatingAdmissionWebhook and ValidatingAdmissionWebhook.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
 */
import type { MutatingWebhook } from '#types';
import { forbidden, internalError } from '../../../api/machinery/status.js';
import type { KubeObject } from '../../../api/machinery/types.js';
import { applyJsonPatch } from '../../../api/patch/index.js';
import type { Authorizer } from '../../../auth/user.js';
import type { Store } from '../../../store/store.js';
import type { ConversionWebhook } from '../../extensions/convert.js';
import type { WebhookClient } from '../../webhooks/index.js';
import { type AdmissionPlugin, type AdmissionRequest, requestReinvocation } from '../admission.js';
import { isExempt, type Matched, matchesNamespace, matchesObject, matchRules } from '../matching.js';
import type { AdmissionMeasures } from '../measures.js';
import { conditionsHold } from '../policy/conditions.js';
import { inputsOf } from '../policy/evaluate.js';
import type { ConditionsOf } from '../policy-measures.js';
import { replaceObject } from '../replace.js';
import { type Rounds, roundsOf } from '../rounds.js';
import { callWebhook } from './call.js';
import { type Hook, listHooks } from './hooks.js';

export interface WebhookParts {
  store: Store;
  authorizer: Authorizer;
  webhooks: WebhookClient;
  measures: AdmissionMeasures;
  convert: ConversionWebhook;
}

/** How the webhook sees the request; undefined where it is not concerned. Throws StatusError. */
async function matchHook(
  parts: WebhookParts,
  { webhook, conditions }: Hook,
  request: AdmissionRequest,
  type: ConditionsOf['type'],
): Promise<Matched | undefined> {
  if (!matchesObject(request, webhook.objectSelector)) return undefined;
  const matched = matchRules(request, webhook.rules ?? [], webhook.matchPolicy);
  if (!matched || !matchesNamespace(parts.store, request, webhook.namespaceSelector)) return undefined;
  if (conditions.length === 0) return matched;
  const { policies } = parts.measures;
  const of: ConditionsOf = { name: webhook.name, kind: 'webhook', type, operation: request.operation };
  try {
    const inputs = await inputsOf(parts, request, matched);
    if (await conditionsHold(conditions, inputs, policies, of)) return matched;
    policies.excluded(of);
    return undefined;
  } catch (error) {
    if (webhook.failurePolicy === 'Ignore') return undefined;
    const { group, plural } = request.resource;
    throw forbidden({ group, resource: plural }, request.name, (error as Error).message);
  }
}

/** All at once: none sees what another says. */
export function validatingWebhooks(parts: WebhookParts): AdmissionPlugin {
  return {
    name: 'ValidatingAdmissionWebhook',
    async validate(request) {
      if (isExempt(request)) return;
      const hooks = await listHooks(parts.store, 'validatingwebhookconfigurations');
      const calls: Promise<unknown>[] = [];
      for (const hook of hooks) {
        const matched = await matchHook(parts, hook, request, 'validating');
        if (matched) calls.push(callWebhook(parts, hook, request, matched, false));
      }
      const failed = (await Promise.allSettled(calls)).find((each) => each.status === 'rejected');
      if (failed) throw failed.reason;
    },
  };
}

/** One after the other, each on what those before made of the object. */
export function mutatingWebhooks(parts: WebhookParts): AdmissionPlugin {
  return {
    name: 'MutatingAdmissionWebhook',
    async admit(request) {
      if (isExempt(request)) return;
      const hooks = await listHooks(parts.store, 'mutatingwebhookconfigurations');
      if (hooks.length === 0) return;
      const rounds = roundsOf(request, 'webhooks');
      for (const hook of hooks) await callIfConcerned(parts, hook, request, rounds);
      rounds.leave(request.object);
    },
  };
}

async function callIfConcerned(
  parts: WebhookParts,
  hook: Hook,
  request: AdmissionRequest,
  rounds: Rounds,
): Promise<void> {
  const matched = await matchHook(parts, hook, request, 'admit');
  if (!matched || rounds.skips(hook.uid)) return;
  const verdict = await callWebhook(parts, hook, request, matched, true);
  const changed =
    verdict?.patch !== undefined && (await patchObject(parts, hook, request, matched, verdict.patch));
  if (changed) {
    rounds.callAgain();
    requestReinvocation(request);
  }
  if ((hook.webhook as MutatingWebhook).reinvocationPolicy === 'IfNeeded') rounds.called(hook.uid);
}

/** Whether the patch changed anything. Throws 500. */
async function patchObject(
  { convert }: WebhookParts,
  { webhook }: Hook,
  request: AdmissionRequest,
  matched: Matched,
  patch: unknown,
): Promise<boolean> {
  if (Array.isArray(patch) && patch.length === 0) return false;
  if (!request.object)
    throw internalError(
      new Error(
        `admission webhook ${JSON.stringify(webhook.name)} attempted to modify the object, which is not supported for this operation`,
      ),
    );
  try {
    return await replaceObject(
      convert,
      request,
      matched,
      (object): KubeObject => applyJsonPatch(object, patch),
    );
  } catch (error) {
    // A patch that does not apply says why in its cause.
    const { cause } = error as Error;
    throw internalError(typeof cause === 'string' ? new Error(cause) : error);
  }
}
