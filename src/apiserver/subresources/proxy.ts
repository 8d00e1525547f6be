/**
 * pods/proxy, services/proxy and nodes/proxy: requests are passed on through the stream to the node.
 * @see https://kubernetes.io/docs/tasks/access-application-cluster/access-cluster-services/
 */
import { StatusError } from '../../api/machinery/status.js';
import type { Attributes } from '../../auth/user.js';
import type { Call, Context, Result } from '../context.js';
import type { Backend } from '../proxy/backend.js';
import { forward, type Route } from '../proxy/forward.js';
import { nodeTarget, podTarget, type Reach, serviceTarget } from '../proxy/targets.js';
import { admitConnect } from './sessions.js';

const TARGETS: Record<string, (reach: Reach, attributes: Attributes) => Backend> = {
  nodes: (reach, { name }) => nodeTarget(reach, name),
  pods: (reach, { namespace, name }) => podTarget(reach, namespace, name),
  services: (reach, { namespace, name }) => serviceTarget(reach, namespace, name),
};

/** Whether a request is passed on, with its body as it comes. */
export const isProxy = ({ isResource, group, resource, subresource }: Omit<Attributes, 'user'>): boolean =>
  isResource && subresource === 'proxy' && group === '' && resource in TARGETS;

const PATH = /^((?:\/[^/]*)+?\/(?:nodes|pods|services)\/[^/]+\/proxy)(\/.*)?$/;

/** Throws 404, 400 and 503 as upstream words them. */
export function proxyRoute(reach: Reach, attributes: Attributes, call: Call): Route {
  const [, prefix = '', rest = ''] = PATH.exec(call.path) ?? [];
  if (prefix === '')
    throw new StatusError(404, 'NotFound', 'the server could not find the requested resource');
  const asked = call.query.get('path') ?? '';
  const path = rest === '' && asked !== '' ? `/${asked.replace(/^\/+/, '')}` : rest;
  return { backend: TARGETS[attributes.resource]!(reach, attributes), path, prefix, redirects: true };
}

const OPTIONS: Record<string, string> = {
  nodes: 'NodeProxyOptions',
  pods: 'PodProxyOptions',
  services: 'ServiceProxyOptions',
};

/** What is about to be reached, as admission sees it. */
export function admitProxy(ctx: Context): Promise<void> {
  const [, , rest = ''] = PATH.exec(ctx.call.path) ?? [];
  const path = rest || (ctx.call.query.get('path') ?? '');
  return admitConnect(ctx, OPTIONS[ctx.attributes.resource]!, path === '' ? {} : { path });
}

export async function proxyRequest(ctx: Context): Promise<Result> {
  await admitProxy(ctx);
  return forward(ctx.call, proxyRoute(ctx, ctx.attributes, ctx.call));
}
