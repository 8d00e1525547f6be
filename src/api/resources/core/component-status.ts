/** ComponentStatuses: deprecated, and not stored; kept for those who still ask whether the control plane is well. */
import type { ComponentStatus } from '#types';
import type { KubeObject } from '../../machinery/types.js';
import { nameColumn } from '../columns.js';
import { type Column, defineResource } from '../define.js';

type Status = ComponentStatus & KubeObject;

const healthy = ({ conditions }: Status) => conditions?.find(({ type }) => type === 'Healthy');

const column = (name: string, description: string, cell: (object: Status) => string): Column<Status> => ({
  name,
  type: 'string',
  description,
  cell,
});

export const componentStatuses = defineResource<Status>({
  group: '',
  version: 'v1',
  kind: 'ComponentStatus',
  plural: 'componentstatuses',
  singular: 'componentstatus',
  shortNames: ['cs'],
  namespaced: false,
  verbs: ['get', 'list'],
  deprecation: 'v1 ComponentStatus is deprecated in v1.19+',
  columns: [
    nameColumn,
    column('Status', 'Whether the component is well.', (object) => {
      const condition = healthy(object);
      if (!condition) return 'Unknown';
      return condition.status === 'True' ? 'Healthy' : 'Unhealthy';
    }),
    column('Message', 'What the component says of itself.', (object) => healthy(object)?.message ?? ''),
    column('Error', 'What is wrong.', (object) => healthy(object)?.error ?? ''),
  ],
});
