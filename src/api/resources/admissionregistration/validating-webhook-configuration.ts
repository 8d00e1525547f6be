/** ValidatingWebhookConfigurations. */
import type { ValidatingWebhookConfiguration } from '#types';
import { ageColumn, nameColumn } from '../columns.js';
import { defineResource } from '../define.js';
import { defaultWebhook, validateWebhooks } from './webhook.js';

export const validatingWebhookConfigurations = defineResource<ValidatingWebhookConfiguration>({
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  kind: 'ValidatingWebhookConfiguration',
  plural: 'validatingwebhookconfigurations',
  categories: ['api-extensions'],
  namespaced: false,
  generation: true,
  defaults(configuration) {
    for (const webhook of configuration.webhooks ?? []) {
      defaultWebhook(webhook);
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
