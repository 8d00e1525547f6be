/** What an agent may ask of the API through the hub: the few calls that a node needs, as the node's own user. */
import { StatusError } from '../api/machinery/status.js';
import type { Request, Transport } from '../client/transport.js';
import type { ApiReply, ApiRequest } from '../rpc/hub.js';

/** Method and path; `{node}` is the caller's name. The API server's node authorizer looks closer. */
const ALLOWED: [methods: string, path: string][] = [
  ['POST', '/api/v1/nodes'],
  ['GET PUT PATCH', '/api/v1/nodes/{node}'],
  ['PUT PATCH', '/api/v1/nodes/{node}/status'],
  ['POST', '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases'],
  ['GET PUT PATCH', '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{node}'],
  // Mirror pods, which admission looks at.
  ['POST', '/api/v1/namespaces/*/pods'],
  ['GET DELETE', '/api/v1/namespaces/*/pods/*'],
  ['PUT PATCH', '/api/v1/namespaces/*/pods/*/status'],
  ['POST', '/api/v1/namespaces/*/events'],
  ['PUT PATCH', '/api/v1/namespaces/*/events/*'],
  ['POST', '/api/v1/namespaces/*/serviceaccounts/*/token'],
  ['GET', '/api/v1/namespaces/*/serviceaccounts/*'],
  ['GET', '/apis/node.k8s.io/v1/runtimeclasses/*'],
  ['POST', '/apis/storage.k8s.io/v1/csinodes'],
  ['GET PUT PATCH', '/apis/storage.k8s.io/v1/csinodes/{node}'],
  ['GET', '/api/v1/namespaces/*/persistentvolumeclaims/*'],
  ['PUT PATCH', '/api/v1/namespaces/*/persistentvolumeclaims/*/status'],
  ['GET', '/apis/resource.k8s.io/v1/namespaces/*/resourceclaims/*'],
  // Those of drivers that have gone.
  ['DELETE', '/apis/resource.k8s.io/v1/resourceslices'],
];

const rules = ALLOWED.map(([methods, path]) => ({ methods: methods.split(' '), segments: path.split('/') }));

export function isAllowed(node: string, method: string, path: string): boolean {
  const segments = path.split('/');
  const matches = (rule: string, segment: string) =>
    rule === '*'
      ? /^[^?#%]+$/.test(segment) && !/^\.{1,2}$/.test(segment)
      : segment === rule.replace('{node}', node);
  return rules.some(
    (rule) =>
      rule.methods.includes(method) &&
      rule.segments.length === segments.length &&
      rule.segments.every((part, i) => matches(part, segments[i]!)),
  );
}

/** Makes the call and gives what to send back; never rejects. */
export async function answer(
  node: string,
  transport: Transport,
  request: ApiRequest,
  signal: AbortSignal,
): Promise<ApiReply> {
  const id = request.id ?? 0;
  const [method, path] = [request.method ?? '', request.path ?? ''];
  try {
    if (!isAllowed(node, method, path))
      throw new StatusError(403, 'Forbidden', `forbidden: a node may not ask for ${method} ${path} here`);
    const object = await transport.request({
      method: method as Request['method'],
      path,
      query: request.query ?? {},
      headers: request.contentType ? { 'content-type': request.contentType } : {},
      ...(request.body?.length ? { body: parse(request.body) } : {}),
      signal,
    });
    return { id, code: 200, body: Buffer.from(JSON.stringify(object)) };
  } catch (error) {
    const status =
      error instanceof StatusError ? error : new StatusError(500, 'InternalError', String(error));
    return { id, code: status.code, body: Buffer.from(JSON.stringify(status.toStatus())) };
  }
}

function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.length).toString());
  } catch {
    throw new StatusError(400, 'BadRequest', 'the body is not JSON');
  }
}
