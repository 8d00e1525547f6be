/** leases. */
import type { Lease } from '#types';
import { defineResource } from '../define.js';

export const leases = defineResource<Lease>({
  group: 'coordination.k8s.io',
  version: 'v1',
  kind: 'Lease',
  plural: 'leases',

  namespaced: true,
});
