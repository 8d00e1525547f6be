/**
 * ResourceClaims: devices that pods ask for.
 * @see https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/
 */
import type { ResourceV1ResourceClaim as ResourceClaim } from '#types';
import { validateImmutable } from '../../machinery/validation.js';
import { ageColumn, nameColumn, textColumn } from '../columns.js';
import { defineResource } from '../define.js';
import { defaultClaimSpec, validateClaimSpec } from './claim-spec.js';
import { dropDeallocated, validateClaimStatus } from './claim-status.js';

function state({ metadata, status }: ResourceClaim): string {
  const states: string[] = [];
  if (metadata.deletionTimestamp !== undefined) states.push('deleted');
  if (status?.allocation) {
    states.push('allocated');
    if (status.reservedFor?.length) states.push('reserved');
  } else if (states.length === 0) states.push('pending');
  return states.join(',');
}

export const resourceClaims = defineResource<ResourceClaim>({
  group: 'resource.k8s.io',
  version: 'v1',
  kind: 'ResourceClaim',
  plural: 'resourceclaims',
  namespaced: true,
  subresources: [{ name: 'status', kind: 'ResourceClaim', verbs: ['get', 'patch', 'update'] }],
  defaults: ({ spec }) => defaultClaimSpec(spec ?? {}),
  prepareForStatusUpdate(claim, old) {
    claim.spec = old.spec;
    dropDeallocated(claim, old);
  },
  validateCreate: ({ spec }) => validateClaimSpec(spec, 'spec'),
  validateUpdate: ({ spec }, old) => validateImmutable(spec, old.spec, 'spec'),
  validateStatusUpdate: validateClaimStatus,
  columns: [
    nameColumn,
    textColumn(
      'State',
      'A comma-separated list of what holds: pending, allocated, reserved, deleted.',
      state,
    ),
    ageColumn,
  ],
});
