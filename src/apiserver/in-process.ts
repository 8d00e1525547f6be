/** The transport within the process: the same core, with frozen objects in place of JSON. */
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { asStatusError, StatusError } from '../api/machinery/status.js';
import { deepFreeze, type KubeObject, type WatchEvent } from '../api/machinery/types.js';
import type { User } from '../auth/user.js';
import { countRequest } from '../client/measures.js';
import type { Request, Transport } from '../client/transport.js';
import { auditIdOf } from './audit/index.js';
import type { Call, Deps, Result } from './context.js';
import { type Answer, codeOf, handle } from './core.js';
import { requestInfo } from './filters/request-info.js';
import { toList } from './http/encode.js';
import type { NonResource } from './nonresource/index.js';

/** Upstream's components reach their server by an address. */
const HOST = 'localhost';
const NEVER = new AbortController().signal;

/** Requests are those of `user`, authorized as everybody's. */
export function inProcessTransport(deps: Deps, nonResource: NonResource, user: User): Transport {
  const closing = new AbortController();
  return {
    async request<T>(request: Request): Promise<T> {
      request.signal?.throwIfAborted();
      const { result, resource } = await recorded(deps, nonResource, toCall(request, user, NEVER));
      switch (result.type) {
        case 'object':
          return (result.stored?.object ?? deepFreeze(result.object)) as T;
        case 'list':
          return Object.freeze(toList(resource!, result.page)) as T;
        case 'raw':
          return (await rawAnswer(result)) as T;
        case 'watch':
          await result.batches.return();
          throw new StatusError(500, 'InternalError', 'a watch is not a request');
      }
    },
    async *watch<T extends KubeObject>(request: Request): AsyncIterable<WatchEvent<T>> {
      const signals = [closing.signal, ...(request.signal ? [request.signal] : [])];
      if (signals.some((s) => s.aborted)) return;
      const signal = AbortSignal.any(signals);
      const call = toCall({ ...request, query: { ...request.query, watch: 'true' } }, user, signal);
      const { result } = await recorded(deps, nonResource, call);
      if (result.type !== 'watch') throw new StatusError(500, 'InternalError', 'this is not a watch');
      for await (const messages of result.batches) {
        for (const { type, stored, object } of messages) {
          if (type === 'ERROR') throw StatusError.from(object as any);
          yield { type, object: (stored?.object ?? object) as T };
        }
      }
    },
    async close() {
      closing.abort();
    },
  };
}

/** Also what this process does to itself is counted, and for the audit log. */
async function recorded(deps: Deps, nonResource: NonResource, call: Call): Promise<Answer> {
  const started = performance.now();
  const counted = (code: number) => countRequest(HOST, call.method, code, performance.now() - started);
  try {
    const answer = await audited(deps, nonResource, call);
    counted(codeOf(answer));
    return answer;
  } catch (error) {
    counted(asStatusError(error).code);
    throw error;
  }
}

async function audited(deps: Deps, nonResource: NonResource, call: Call): Promise<Answer> {
  const { auditor } = deps;
  if (!auditor) return handle(deps, nonResource, call);
  const attributes = { ...requestInfo(call.method, call.path, call.query), user: call.user };
  const record = auditor.begin(attributes, call, auditIdOf(undefined));
  void record?.requested(call.body);
  try {
    const answer = await handle(deps, nonResource, call, record?.steps);
    if (answer.result.type === 'watch') record?.started(200);
    record?.answered(answer);
    return answer;
  } catch (error) {
    record?.failed(error);
    throw error;
  }
}

/** Components are known as field managers by the names that they have upstream. */
function agentOf({ name }: User): string {
  if (name.startsWith('system:node:')) return 'kubelet';
  if (name.startsWith('system:serviceaccount:kube-system:')) return 'kube-controller-manager';
  return AGENTS[name] ?? 'keelson';
}

const AGENTS: Record<string, string> = {
  'system:apiserver': 'kube-apiserver',
  'system:kube-scheduler': 'kube-scheduler',
};

function toCall(request: Request, user: User, signal: AbortSignal): Call {
  const { headers = {}, body } = request;
  const contentType = headers['content-type'] ?? 'application/json';
  return {
    method: request.method,
    path: request.path,
    query: new URLSearchParams(request.query),
    header: (name) => headers[name] ?? (name === 'user-agent' ? agentOf(user) : undefined),
    body: body === undefined ? { type: 'none' } : { type: 'object', value: body, contentType },
    user,
    signal,
  };
}

/** The value of an answer that may be another server's, and come as a stream. */
async function rawAnswer({ code, headers, body }: Result & { type: 'raw' }): Promise<unknown> {
  const bytes = body instanceof Readable ? await buffer(body) : body;
  const isJson = String(headers['content-type']).startsWith('application/json');
  if (code < 400) return isJson ? JSON.parse(bytes.toString()) : bytes.toString();
  const status = isJson ? JSON.parse(bytes.toString()) : undefined;
  if (status?.kind === 'Status') throw StatusError.from(status);
  if (code === 404)
    throw new StatusError(404, 'NotFound', 'the server could not find the requested resource');
  throw new StatusError(code, '', `the server answered with ${code}: ${bytes.toString().slice(0, 200)}`);
}
