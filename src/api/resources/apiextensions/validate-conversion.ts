/** Validation of how a kind's versions are converted. */
import type { CustomResourceConversion } from '#types';
import {
  child,
  type FieldError,
  forbidden,
  index,
  invalid,
  notSupported,
  required,
} from '../../machinery/field.js';
import { dns1035Label } from '../../machinery/names.js';
import { validateWebhookClient } from '../../machinery/webhook-client.js';

/** The forms of ConversionReview that the server speaks. */
export const REVIEW_VERSIONS = ['v1', 'v1beta1'];

export function conversionErrors(
  conversion: CustomResourceConversion | undefined,
  path: string,
): FieldError[] {
  if (!conversion) return [];
  const at = (...names: string[]) => child(path, ...names);
  const { strategy, webhook } = conversion;
  if (strategy !== 'None' && strategy !== 'Webhook')
    return [
      strategy ? notSupported(at('strategy'), strategy, ['None', 'Webhook']) : required(at('strategy')),
    ];
  if (strategy === 'None')
    return webhook?.clientConfig
      ? [forbidden(at('webhookClientConfig'), 'should not be set when strategy is not set to Webhook')]
      : [];
  const errors: FieldError[] = [];
  if (!webhook?.clientConfig)
    errors.push(required(at('webhookClientConfig'), 'required when strategy is set to Webhook'));
  else errors.push(...validateWebhookClient(webhook.clientConfig, at('webhookClientConfig')));
  return [
    ...errors,
    ...reviewErrors(webhook?.conversionReviewVersions ?? [], at('conversionReviewVersions')),
  ];
}

function reviewErrors(versions: string[], path: string): FieldError[] {
  if (versions.length === 0) return [required(path)];
  const errors: FieldError[] = [];
  versions.forEach((version, i) => {
    if (versions.indexOf(version) < i) errors.push(invalid(index(path, i), version, 'duplicate version'));
    const problems = dns1035Label(version);
    if (problems.length > 0) errors.push(invalid(index(path, i), version, problems.join(',')));
  });
  if (!versions.some((version) => REVIEW_VERSIONS.includes(version)))
    errors.push(invalid(path, versions, `must include at least one of ${REVIEW_VERSIONS.join(', ')}`));
  return errors;
}
