/**
 * What a kubelet tells over HTTP, path by path.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { StreamDeps } from '../streams/serve.js';

/** Writes the whole answer; what it throws becomes a 500. */
type Endpoint = (
  request: IncomingMessage,
  response: ServerResponse,
  deps: StreamDeps,
) => void | Promise<void>;

/** By path, without a trailing slash. */
const ENDPOINTS: Record<string, Endpoint> = {
  '/healthz': (_request, response) => text(response, 'ok'),
  '/healthz/ping': (_request, response) => text(response, 'ok'),
  '/pods': (_request, response, { pods }) =>
    json(response, {
      kind: 'PodList',
      apiVersion: 'v1',
      metadata: {},
      items: pods.list().map(({ pod }) => pod),
    }),
  '/metrics': metrics,
};

export async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  deps: StreamDeps,
): Promise<void> {
  const path = (request.url ?? '/').split('?', 1)[0]!.replace(/(?<=.)\/+$/, '');
  const endpoint = ENDPOINTS[path];
  if (endpoint) return endpoint(request, response, deps);
  text(response, '404 page not found\n', 404);
}

function text(response: ServerResponse, body: string, code = 200): void {
  response.writeHead(code, {
    'content-type': 'text/plain; charset=utf-8',
    'x-content-type-options': 'nosniff',
  });
  response.end(body);
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
}

/** Made once somebody asks. */
let registry: import('prom-client').Registry | undefined;

async function metrics(
  _request: IncomingMessage,
  response: ServerResponse,
  { pods }: StreamDeps,
): Promise<void> {
  const { collectDefaultMetrics, Gauge, Registry } = await import('prom-client');
  if (!registry) {
    registry = new Registry();
    collectDefaultMetrics({ register: registry });
    new Gauge({
      name: 'kubelet_running_pods',
      help: 'Number of pods that have a running pod sandbox',
      registers: [registry],
      collect() {
        this.set(pods.list().length);
      },
    });
  }
  const body = await registry.metrics();
  response.writeHead(200, { 'content-type': registry.contentType });
  response.end(body);
}
