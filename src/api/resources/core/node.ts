/** Nodes. */
import type { Node } from '#types';
import { defineResource } from '../define.js';

export const nodes = defineResource<Node>({
  group: '',
  version: 'v1',
  kind: 'Node',
  plural: 'nodes',
  shortNames: ['no'],
  namespaced: false,
  subresources: [
    {
      name: 'proxy',
      kind: 'NodeProxyOptions',
      verbs: ['create', 'delete', 'get', 'patch', 'update'],
    },
    { name: 'status', kind: 'Node', verbs: ['get', 'patch', 'update'] },
  ],
});
