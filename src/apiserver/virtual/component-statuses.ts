/** Answers reads of ComponentStatuses: the parts run in one process, and whoever is answered finds them running. */
import { notFound } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import type { Context, Result } from '../context.js';
import { page, single } from './results.js';

const COMPONENTS = ['controller-manager', 'scheduler', 'etcd-0'];

const status = (name: string): KubeObject =>
  ({
    apiVersion: 'v1',
    kind: 'ComponentStatus',
    metadata: { name },
    conditions: [{ type: 'Healthy', status: 'True', message: 'ok' }],
  }) as KubeObject;

export async function getComponentStatus(ctx: Context): Promise<Result> {
  const { name } = ctx.attributes;
  if (!COMPONENTS.includes(name)) throw notFound({ group: '', resource: 'componentstatuses' }, name);
  warn(ctx);
  return single(status(name));
}

export async function listComponentStatuses(ctx: Context): Promise<Result> {
  warn(ctx);
  return page(ctx, COMPONENTS.map(status));
}

function warn({ warnings, resource }: Context): void {
  if (resource.deprecation) warnings.push(resource.deprecation);
}
