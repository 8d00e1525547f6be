/** Leases: heartbeats of nodes, and elections of leaders. */
import type { Lease } from '#types';
import { type FieldError, forbidden, invalid, required } from '../../machinery/field.js';
import { validateQualifiedName } from '../../machinery/validation.js';
import { ageColumn, nameColumn } from '../columns.js';
import { defineResource } from '../define.js';

function validate({ spec }: Lease): FieldError[] {
  const errors: FieldError[] = [];
  const { leaseDurationSeconds: duration, leaseTransitions: transitions, strategy } = spec;
  if (duration !== undefined && duration <= 0)
    errors.push(invalid('spec.leaseDurationSeconds', duration, 'must be greater than 0'));
  if (transitions !== undefined && transitions < 0)
    errors.push(invalid('spec.leaseTransitions', transitions, 'must be greater than or equal to 0'));
  if (strategy === '') errors.push(required('spec.strategy'));
  else if (strategy !== undefined) errors.push(...validateQualifiedName(strategy, 'spec.strategy'));
  if (spec.preferredHolder && !strategy)
    errors.push(forbidden('spec.preferredHolder', 'may only be specified when `strategy` is defined'));
  return errors;
}

export const leases = defineResource<Lease>({
  group: 'coordination.k8s.io',
  version: 'v1',
  kind: 'Lease',
  plural: 'leases',
  namespaced: true,
  unconditionalUpdate: false,
  defaults(lease) {
    lease.spec ??= {};
  },
  validate,
  columns: [
    nameColumn,
    {
      name: 'Holder',
      type: 'string',
      description: 'Who holds the lease.',
      cell: (lease) => lease.spec.holderIdentity ?? '',
    },
    ageColumn,
  ],
});
