/** The kinds of metrics.k8s.io/v1beta1: NodeMetrics and PodMetrics. They are not stored, so they are not in the list of resources. */
import { addQuantities } from '../../machinery/quantity.js';
import type { KubeObject } from '../../machinery/types.js';
import { nameColumn } from '../columns.js';
import { type Column, defineResource } from '../define.js';

/** Quantities by resource: `cpu` and `memory`. */
export type UsageList = Record<'cpu' | 'memory', string>;

interface Measured extends KubeObject {
  /** The end of the window, RFC 3339. */
  timestamp: string;
  /** As Go writes durations: `15.1s`. */
  window: string;
}

export interface NodeMetrics extends Measured {
  usage: UsageList;
}

export interface PodMetrics extends Measured {
  containers: { name: string; usage: UsageList }[];
}

const GROUP = 'metrics.k8s.io';
const VERSION = 'v1beta1';

const columns = <T extends Measured>(
  usage: (object: T, resource: 'cpu' | 'memory') => string,
): Column<T>[] => [
  nameColumn,
  ...(['cpu', 'memory'] as const).map(
    (resource): Column<T> => ({
      name: resource,
      type: 'string',
      format: 'quantity',
      description: `How much ${resource} was in use.`,
      cell: (object) => usage(object, resource),
    }),
  ),
  {
    name: 'Window',
    type: 'string',
    format: 'duration',
    description: 'The time over which use is averaged.',
    cell: (object) => object.window,
  },
];

export const nodeMetrics = defineResource<NodeMetrics>({
  group: GROUP,
  version: VERSION,
  kind: 'NodeMetrics',
  plural: 'nodes',
  singular: '',
  namespaced: false,
  verbs: ['get', 'list'],
  columns: columns(({ usage }, resource) => usage[resource]),
});

export const podMetrics = defineResource<PodMetrics>({
  group: GROUP,
  version: VERSION,
  kind: 'PodMetrics',
  plural: 'pods',
  singular: '',
  namespaced: true,
  verbs: ['get', 'list'],
  columns: columns(({ containers }, resource) =>
    addQuantities(...containers.map(({ usage }) => usage[resource])),
  ),
});
