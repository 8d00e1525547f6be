/** `/containerLogs/<namespace>/<pod>/<container>`: a container's log with the options of a pod's own. */
import { asStatusError } from '../../api/machinery/status.js';
import type { LogRequest } from '../../rpc/stream-requests.js';
import { writeTo } from '../../streams/back-pressure.js';
import { openLog } from '../streams/logs.js';
import { type Call, notHere, text } from './answers.js';

export async function containerLogs(call: Call): Promise<void> {
  const { rest, response, deps, query } = call;
  const [namespace = '', pod = '', container = '', ...more] = rest.split('/');
  if (more.length > 0) return notHere(call);
  for (const [what, value] of Object.entries({
    podID: pod,
    containerName: container,
    podNamespace: namespace,
  }))
    if (!value) return text(call, JSON.stringify({ message: `Missing ${what}.` }), 400);
  const worker = deps.pods
    .list()
    .find((w) => w.pod.metadata.name === pod && w.pod.metadata.namespace === namespace);
  if (!worker) return text(call, JSON.stringify({ message: `pod "${pod}" does not exist` }), 404);
  if (!worker.record(container))
    return text(call, JSON.stringify({ message: `container "${container}" not found in pod "${pod}"` }), 404);
  const request: LogRequest = {
    ...{ namespace, pod, container, uid: worker.pod.metadata.uid ?? '' },
    ...{ follow: flag(query, 'follow'), previous: flag(query, 'previous') },
    timestamps: flag(query, 'timestamps'),
    ...numbers(query),
    ...(query.get('sinceTime') ? { sinceTime: query.get('sinceTime')! } : {}),
    ...(query.get('stream') ? { stream: query.get('stream')! } : {}),
  };
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  try {
    const log = await openLog(worker, request, deps, gone.signal);
    response.writeHead(200, { 'content-type': 'text/plain' });
    for await (const chunk of log) {
      await writeTo(response, chunk);
      if (response.destroyed) return;
    }
    response.end();
  } catch (error) {
    const { code, message } = asStatusError(error);
    if (response.headersSent) response.destroy();
    else text(call, message, code);
  }
}

const flag = (query: URLSearchParams, name: string): boolean =>
  ['true', '1', ''].includes(query.get(name) ?? 'no');

function numbers(query: URLSearchParams): Partial<LogRequest> {
  const names = ['tailLines', 'limitBytes', 'sinceSeconds'] as const;
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = query.get(name === 'tailLines' && query.has('tail') ? 'tail' : name);
      return value !== null && /^\d+$/.test(value) ? [[name, Number(value)]] : [];
    }),
  );
}
