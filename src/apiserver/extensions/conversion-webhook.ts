/** Asks conversion webhooks for objects in other versions (ConversionReview). */
import { internalError } from '../../api/machinery/status.js';
import type { Deps } from '../context.js';
import type { ConversionWebhook } from './convert.js';

export function conversionWebhook(_deps: Deps): ConversionWebhook {
  return async () => {
    throw internalError('conversion webhooks are not served yet');
  };
}
