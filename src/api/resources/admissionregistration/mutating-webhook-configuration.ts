/** MutatingWebhookConfigurations. */
import type { MutatingWebhookConfiguration } from '#types';
import { ageColumn, nameColumn } from '../columns.js';
import { defineResource } from '../define.js';
import { defaultWebhook, validateWebhooks } from './webhook.js';

export const mutatingWebhookConfigurations = defineResource<MutatingWebhookConfiguration>({
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  kind: 'MutatingWebhookConfiguration',
  plural: 'mutatingwebhookconfigurations',
  categories: ['api-extensions'],
  namespaced: false,
  generation: true,
  defaults(configuration) {
    for (const webhook of configuration.webhooks ?? []) {
      defaultWebhook(webhook);
      webhook.reinvocationPolicy ??= 'Never';
    }
  },
  validate: ({ webhooks }) => validateWebhooks(webhooks),
  columns: [
    nameColumn,
    {
      name: 'Webhooks',
      type: 'integer',
      description: 'How many webhooks there are.',
      cell: ({ webhooks }) => (webhooks ?? []).length,
    },
    ageColumn,
  ],
});
