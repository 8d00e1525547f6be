/**
 * What a kubelet tells over HTTP, path by path.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Call, type Endpoint, type EndpointDeps, json, notHere, text } from './answers.js';
import { configz } from './configz.js';
import { containerLogs } from './container-logs.js';
import { logFile } from './log-files.js';
import { pods, runningPods } from './pods.js';

const ok: Endpoint = (call) => text(call, 'ok');

/** By path, without a trailing slash; one that ends with `/*` takes all below it. */
const ENDPOINTS: Record<string, Endpoint> = {
  '/healthz': ok,
  '/healthz/ping': ok,
  '/healthz/syncloop': ok,
  '/pods': (call) => json(call, pods(call.deps)),
  '/runningpods': (call) => json(call, runningPods(call.deps)),
  '/configz': (call) => json(call, configz(call.deps)),
  '/logs/*': logFile,
  '/containerLogs/*': containerLogs,
  '/stats/summary': async (call) => (await import('./stats/summary.js')).serveSummary(call),
  '/metrics': async (call) => (await import('./metrics/agent.js')).agentMetrics(call),
  '/metrics/resource': async (call) => (await import('./metrics/resource.js')).resourceMetrics(call),
  '/metrics/cadvisor': async (call) => (await import('./metrics/cadvisor.js')).cadvisorMetrics(call),
};

export async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  deps: EndpointDeps,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://node');
  const call: Call = { request, response, query: url.searchParams, rest: '', deps };
  let path: string;
  try {
    path = decodeURIComponent(url.pathname).replace(/(?<=.)\/+$/, '');
  } catch {
    return notHere(call);
  }
  const exact = ENDPOINTS[path];
  if (exact) return exact(call);
  const [, first = ''] = path.split('/', 2);
  const below = ENDPOINTS[`/${first}/*`];
  if (below) return below({ ...call, rest: path.slice(first.length + 2) });
  notHere(call);
}
