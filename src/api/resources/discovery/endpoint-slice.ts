/** endpointslices. */
import type { EndpointSlice } from '#types';
import { defineResource } from '../define.js';

export const endpointSlices = defineResource<EndpointSlice>({
  group: 'discovery.k8s.io',
  version: 'v1',
  kind: 'EndpointSlice',
  plural: 'endpointslices',

  namespaced: true,
  generation: true,
});
