/** One call of one webhook. */
import { badRequest, internalError, StatusError } from '../../../api/machinery/status.js';
import type { ConversionWebhook } from '../../extensions/convert.js';
import type { WebhookClient } from '../../webhooks/index.js';
import { type AdmissionRequest, annotateAudit } from '../admission.js';
import type { Matched } from '../matching.js';
import type { AdmissionMeasures, WebhookCall } from '../measures.js';
import type { Hook } from './hooks.js';
import { createReview, type Review, readVerdict, type Verdict } from './review.js';

export interface CallParts {
  webhooks: WebhookClient;
  measures: AdmissionMeasures;
  convert: ConversionWebhook;
}

/** The webhook could not be asked, or its answer is none: `failurePolicy` says what that means. */
class CallFailure extends Error {
  constructor(name: string, why: string) {
    super(`failed calling webhook ${JSON.stringify(name)}: ${why}`);
  }
}

/**
 * What the webhook says of the request; undefined where it failed and may be ignored. Throws StatusError where it
 * denies the request, or failed and counts.
 */
export async function callWebhook(
  parts: CallParts,
  hook: Hook,
  request: AdmissionRequest,
  matched: Matched,
  mutating: boolean,
): Promise<Verdict | undefined> {
  const { webhook } = hook;
  const { name, sideEffects, failurePolicy } = webhook;
  if (request.dryRun && sideEffects !== 'None' && sideEffects !== 'NoneOnDryRun')
    throw badRequest(`admission webhook ${JSON.stringify(name)} does not support dry run`);
  const started = performance.now();
  const observe = (code: number, rejected: WebhookCall['rejected'] = false) =>
    parts.measures.webhook(name, request, { mutating, code, rejected }, performance.now() - started);
  try {
    const verdict = await ask(parts, hook, request, matched, mutating);
    for (const [key, value] of Object.entries(verdict.auditAnnotations ?? {}))
      annotateAudit(request, `${name}/${key}`, value);
    request.warnings.push(...(verdict.warnings ?? []));
    const refusal = verdict.allowed ? undefined : denied(name, verdict);
    observe(refusal?.code ?? 200, refusal && 'no_error');
    if (refusal) throw refusal;
    return verdict;
  } catch (error) {
    if (!(error instanceof CallFailure)) throw error;
    const counts = failurePolicy !== 'Ignore';
    observe(400, counts && 'calling_webhook_error');
    if (counts) throw internalError(error);
    parts.measures.failedOpen(name, mutating);
    const prefix = mutating ? 'mutation' : 'validating';
    annotateAudit(
      request,
      `failed-open.${prefix}.webhook.admission.k8s.io/${hook.uid.split('/').pop()}`,
      name,
    );
    return undefined;
  }
}

async function ask(
  parts: CallParts,
  { webhook }: Hook,
  request: AdmissionRequest,
  matched: Matched,
  mutating: boolean,
): Promise<Verdict> {
  const { name, clientConfig, timeoutSeconds = 10, admissionReviewVersions } = webhook;
  let review: Review;
  let answer: unknown;
  try {
    review = await createReview(parts.convert, request, matched, admissionReviewVersions);
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw new CallFailure(name, (error as Error).message);
  }
  try {
    answer = await parts.webhooks.post(clientConfig as Parameters<WebhookClient['post']>[0], review, {
      timeoutMs: timeoutSeconds * 1000,
    });
  } catch (error) {
    throw new CallFailure(name, `failed to call webhook: ${(error as Error).message}`);
  }
  try {
    return readVerdict(review, answer, mutating);
  } catch (error) {
    throw new CallFailure(name, `received invalid webhook response: ${(error as Error).message}`);
  }
}

/** The status that the webhook gave, worded as a denial. */
function denied(name: string, { status = {} }: Verdict): StatusError {
  const { code = 0, reason = '', message = '', details } = status;
  const by = `admission webhook ${JSON.stringify(name)} denied the request`;
  const why = message || reason;
  return new StatusError(
    Math.max(code, 400),
    reason,
    why ? `${by}: ${why}` : `${by} without explanation`,
    details,
  );
}
