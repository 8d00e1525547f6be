/** ResourceClaimTemplates: what the ResourceClaim of each pod that refers to one is made from. */
import type { ResourceClaimTemplate } from '#types';
import { validateAnnotations, validateImmutable, validateLabels } from '../../machinery/validation.js';
import { ageColumn, nameColumn } from '../columns.js';
import { defineResource } from '../define.js';
import { defaultClaimSpec, validateClaimSpec } from './claim-spec.js';

export const resourceClaimTemplates = defineResource<ResourceClaimTemplate>({
  group: 'resource.k8s.io',
  version: 'v1',
  kind: 'ResourceClaimTemplate',
  plural: 'resourceclaimtemplates',
  namespaced: true,
  defaults: ({ spec }) => defaultClaimSpec(spec?.spec ?? {}),
  validateCreate: ({ spec }) => [
    ...validateLabels(spec.metadata?.labels, 'spec.metadata.labels'),
    ...validateAnnotations(spec.metadata?.annotations, 'spec.metadata.annotations'),
    ...validateClaimSpec(spec.spec, 'spec.spec'),
  ],
  validateUpdate: ({ spec }, old) => validateImmutable(spec, old.spec, 'spec'),
  columns: [nameColumn, ageColumn],
});
