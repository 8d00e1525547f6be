/** Passes a request on to a backend and its answer back (apimachinery's `UpgradeAwareHandler`). */
import type { IncomingMessage } from 'node:http';
import { type Duplex, pipeline, type Readable } from 'node:stream';
import { createDeflate, createGunzip, createGzip, createInflate } from 'node:zlib';
import { StatusError } from '../../api/machinery/status.js';
import type { Call, Result } from '../context.js';
import { answerTo, type Backend, type Outgoing, open } from './backend.js';
import { requestHeaders, responseHeaders } from './headers.js';
import { type Mapping, rewriteHtml, rewriteUrl } from './rewrite.js';

export interface Route {
  backend: Backend;
  /** The backend's path, percent-encoded, without the query; '' for a proxied root that lacks its slash. */
  path: string;
  /** The path in front of the backend's own. */
  prefix: string;
  /** In place of the request's own, or besides them. */
  headers?: Record<string, string | string[]>;
  /** Whether the backend may send the client to another host. */
  redirects: boolean;
}

export const queryOf = (call: Call): string => {
  const query = call.rawQuery ?? call.query.toString();
  return query === '' ? '' : `?${query}`;
};

export function outgoing(call: Call, route: Route): Outgoing {
  const path = route.path === '' ? '/' : route.path;
  const own = requestHeaders(call);
  if (call.stream && own['content-length'] === undefined) own['transfer-encoding'] = 'chunked';
  const headers = {
    ...own,
    'x-forwarded-uri': `${route.prefix}${path}`,
    ...route.headers,
  };
  return { method: call.method, path: `${path}${queryOf(call)}`, headers };
}

/** Rejects with StatusError where no answer comes. */
export async function forward(call: Call, route: Route): Promise<Result> {
  if (route.path === '' && (call.method === 'GET' || call.method === 'HEAD'))
    return {
      type: 'raw',
      code: 301,
      headers: { location: `${call.path}/${queryOf(call)}` },
      body: '',
    };
  const request = await open(route.backend, outgoing(call, route), call.signal);
  const answered = answerTo(request);
  sendBody(call, request);
  const answer = await answered;
  const headers = responseHeaders(answer);
  const mapping = mappingOf(call, route);
  const { location } = answer.headers;
  if (!route.redirects) refuseRedirect(answer, location);
  if (location !== undefined) headers['location'] = rewriteUrl(location, mapping);
  else if (isHtml(answer)) return { ...raw(answer, headers), body: rewritten(answer, headers, mapping) };
  return { ...raw(answer, headers), body: answer };
}

const raw = (answer: IncomingMessage, headers: Record<string, string | string[]>) =>
  ({ type: 'raw', code: answer.statusCode!, headers }) as const;

const mappingOf = (call: Call, { backend, prefix }: Route): Mapping => ({
  prefix,
  backend: backend.host,
  host: call.header('host') ?? '',
});

/** Trusted clients must not be led elsewhere with what they have for this server. */
function refuseRedirect(answer: IncomingMessage, location: string | undefined): void {
  if (answer.statusCode! < 300 || answer.statusCode! >= 400 || !location) return;
  if (!/^([a-z][a-z0-9+.-]*:)?\/\//i.test(location)) return;
  answer.destroy();
  throw new StatusError(502, '', 'the backend attempted to redirect this request, which is not permitted');
}

function sendBody(call: Call, request: import('node:http').ClientRequest): void {
  const { body, stream } = call;
  request.on('error', () => {});
  if (stream) pipeline(stream, request, () => {});
  else if (body.type === 'bytes') request.end(body.bytes);
  else if (body.type === 'object') request.end(JSON.stringify(body.value));
  else request.end();
}

const isHtml = ({ headers }: IncomingMessage): boolean =>
  (headers['content-type'] ?? '').split(';', 1)[0]!.trim() === 'text/html';

const CODINGS: Record<string, () => Duplex[]> = {
  gzip: () => [createGunzip(), createGzip()],
  deflate: () => [createInflate(), createDeflate()],
};

function rewritten(
  answer: IncomingMessage,
  headers: Record<string, string | string[]>,
  mapping: Mapping,
): Readable {
  const coding = answer.headers['content-encoding'] ?? '';
  const around = CODINGS[coding]?.();
  if (coding !== '' && !around) return answer;
  delete headers['content-length'];
  const steps = around ? [around[0]!, rewriteHtml(mapping), around[1]!] : [rewriteHtml(mapping)];
  return pipeline([answer, ...steps], () => {}) as unknown as Readable;
}
