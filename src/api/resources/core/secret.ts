/** secrets. */
import type { Secret } from '#types';
import { defineResource } from '../define.js';

export const secrets = defineResource<Secret>({
  group: '',
  version: 'v1',
  kind: 'Secret',
  plural: 'secrets',

  namespaced: true,
});
