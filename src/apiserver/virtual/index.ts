/** Kinds that are not stored: their objects are made when somebody reads them. */

import { componentStatuses } from '../../api/resources/core/component-status.js';
import type { Resource } from '../../api/resources/define.js';
import { nodeMetrics, podMetrics } from '../../api/resources/metrics/metrics.js';
import type { Context, Result } from '../context.js';
import { getComponentStatus, listComponentStatuses } from './component-statuses.js';
import { getNodeMetrics, getPodMetrics, listNodeMetrics, listPodMetrics } from './metrics.js';

type Handler = (ctx: Context) => Promise<Result>;

export interface Virtual {
  resource: Resource;
  handlers: { get: Handler; list: Handler };
}

const ALL: Virtual[] = [
  {
    resource: componentStatuses as Resource<any>,
    handlers: { get: getComponentStatus, list: listComponentStatuses },
  },
  { resource: nodeMetrics as Resource<any>, handlers: { get: getNodeMetrics, list: listNodeMetrics } },
  { resource: podMetrics as Resource<any>, handlers: { get: getPodMetrics, list: listPodMetrics } },
];

export const virtualResources: Resource[] = ALL.map(({ resource }) => resource);

export function findVirtual(group: string, version: string, plural: string): Virtual | undefined {
  return ALL.find(({ resource: r }) => r.group === group && r.version === version && r.plural === plural);
}
