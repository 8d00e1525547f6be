/** configmaps. */
import type { ConfigMap } from '#types';
import { defineResource } from '../define.js';

export const configMaps = defineResource<ConfigMap>({
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  shortNames: ['cm'],
  namespaced: true,
});
