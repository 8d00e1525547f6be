/** controllerrevisions. */
import type { ControllerRevision } from '#types';
import { defineResource } from '../define.js';

export const controllerRevisions = defineResource<ControllerRevision>({
  group: 'apps',
  version: 'v1',
  kind: 'ControllerRevision',
  plural: 'controllerrevisions',

  namespaced: true,
});
