/** An HTTP request through the core: authenticate, negotiate, handle, respond; every error becomes a Status. */
import { asStatusError, StatusError, timeout } from '../../api/machinery/status.js';
import { hasSchema } from '../../api/schema/index.js';
import type { Authenticate } from '../../auth/authenticate.js';
import type { Attributes } from '../../auth/user.js';
import type { Body, Call, Deps, ListPage } from '../context.js';
import { type Answer, handle } from '../core.js';
import { type FlowControl, type Ticket, TooManyRequests } from '../filters/flow-control/index.js';
import { type RequestInfo, requestInfo } from '../filters/request-info.js';
import type { Metrics } from '../metrics.js';
import type { NonResource } from '../nonresource/index.js';
import { isProxy } from '../subresources/proxy.js';
import type { IncomingRequest } from './listener.js';
import { type Accepted, JSON_ACCEPTED, negotiate, type ObjectForm, requireStream } from './media-types.js';
import { credentialsOf, parseUrl, readBody, unreadBody } from './request.js';
import { type RespondOptions, type Response, respond, respondError } from './respond.js';

export interface HttpParts {
  deps: Deps;
  authenticate: Authenticate;
  nonResource: NonResource;
  metrics: Metrics;
  flow: FlowControl;
}

const FORMS: ObjectForm[] = ['object', 'table', 'partial'];
/** Upstream's `--request-timeout`. */
const REQUEST_TIMEOUT_MS = 60_000;

/** Never rejects. */
export async function serveRequest(
  parts: HttpParts,
  request: IncomingRequest,
  response: Response,
): Promise<void> {
  const { deps, metrics } = parts;
  const started = performance.now();
  const url = parseUrl(request);
  const { path, query } = url;
  const info = requestInfo(request.method ?? 'GET', path, query);
  const toOther = deps.aggregator?.claims(path) === true;
  const passedOn = toOther || isProxy(info);
  const options: RespondOptions = {
    accepted: JSON_ACCEPTED,
    query,
    acceptEncoding: String(request.headers['accept-encoding'] ?? ''),
    userAgent: request.headers['user-agent'] ?? '',
    now: deps.clock.now(),
  };
  let answer: Answer | undefined;
  let ticket: Ticket | undefined;
  try {
    const gone = goneSignal(response);
    const user = await parts.authenticate(credentialsOf(request));
    const negotiated = passedOn ? NOT_NEGOTIATED : negotiation(path, request.headers.accept);
    if (negotiated.accepted) options.accepted = negotiated.accepted;
    const stream = passedOn ? unreadBody(request) : undefined;
    const body: Body = passedOn ? { type: 'none' } : await readBody(request);
    const call: Call = { ...callOf(request, url), body, stream, user, signal: gone };
    const longRunning = isLongRunning(info);
    const handled = handle(deps, parts.nonResource, call, {
      identified: async (attributes) => {
        if (!longRunning || info.verb === 'watch')
          ticket = await admitted(parts.flow, attributes, response, gone);
      },
      routed: ({ verb }) => requireAccepted(negotiated, verb),
    });
    answer = longRunning ? await handled : await withTimeout(handled, query);
    if (response.destroyed) return;
    metrics.request(answer.attributes, codeOf(answer), performance.now() - started);
    const ended = answer.result.type === 'watch' ? metrics.watchStarted() : () => undefined;
    // A watch has done its work once it is open.
    if (answer.result.type === 'watch') ticket?.release();
    if (answer.result.type === 'list') parts.flow.listed(answer.attributes, objectsOf(answer.result.page));
    await respond(response, answer, options).finally(ended);
  } catch (error) {
    await fail(parts, response, error, options, request);
  } finally {
    ticket?.release();
    if (answer?.result.type === 'watch') await answer.result.batches.return();
  }
}

const objectsOf = ({ items, remaining = 0 }: ListPage): number => items.length + remaining;

/** Waits for the request's turn; the answer tells by which objects. Rejects with TooManyRequests. */
async function admitted(
  flow: FlowControl,
  attributes: Attributes,
  response: Response,
  gone: AbortSignal,
): Promise<Ticket | undefined> {
  const of = flow.classify(attributes);
  if (!of) return undefined;
  response.setHeader('x-kubernetes-pf-flowschema-uid', of.schema.metadata.uid ?? '');
  response.setHeader('x-kubernetes-pf-prioritylevel-uid', of.level.config.metadata.uid ?? '');
  return flow.admit(attributes, of, gone);
}

const codeOf = ({ result }: Answer): number =>
  result.type === 'object' || result.type === 'raw' ? result.code : 200;

/** Aborts when the client goes away before the answer is complete. */
function goneSignal(response: Response): AbortSignal {
  const controller = new AbortController();
  response.on('close', () => controller.abort());
  response.on('error', () => controller.abort());
  return controller.signal;
}

interface Negotiation {
  /** Absent where the client accepts nothing that is offered. */
  accepted: Accepted | undefined;
  error?: unknown;
  protobuf: boolean;
}

/** Of a request that is passed on to a pod or node, which negotiates itself. */
const NOT_NEGOTIATED: Negotiation = { accepted: JSON_ACCEPTED, protobuf: false };

/** What the client accepts of the path's group version. It fails later: 401, 403 and 404 come first. */
function negotiation(path: string, accept: string | undefined): Negotiation {
  const [, root, ...parts] = path.split('/');
  const protobuf = root === 'api' ? hasSchema('', parts[0] ?? '') : hasSchema(parts[0] ?? '', parts[1] ?? '');
  if ((root !== 'api' && root !== 'apis') || parts.length === 0) return { accepted: JSON_ACCEPTED, protobuf };
  try {
    return { accepted: negotiate(accept, { forms: FORMS, protobuf }), protobuf };
  } catch (error) {
    return { accepted: undefined, error, protobuf };
  }
}

/** Throws 406. */
function requireAccepted({ accepted, error, protobuf }: Negotiation, verb: string): void {
  if (!accepted) throw error;
  if (verb === 'watch') requireStream(accepted.format, protobuf);
}

const LONG_RUNNING = new Set(['attach', 'exec', 'proxy', 'log', 'portforward']);

/** What takes as long as its client wants. */
const isLongRunning = ({ verb, subresource }: RequestInfo): boolean =>
  verb === 'watch' || LONG_RUNNING.has(subresource);

/** All of a request but its body and who sends it. */
export function callOf(
  request: IncomingRequest,
  { path, query, rawQuery }: ReturnType<typeof parseUrl>,
): Omit<Call, 'body' | 'user' | 'signal'> {
  return {
    method: request.method ?? 'GET',
    path,
    query,
    rawQuery,
    remoteAddress: request.socket.remoteAddress?.replace(/^::ffff:/, ''),
    headerNames: () => Object.keys(request.headers),
    header: (name) => {
      const value = request.headers[name] ?? (name === 'host' ? request.headers[':authority'] : undefined);
      return Array.isArray(value) ? value.join(', ') : value;
    },
  };
}

/** Handlers answer soon or hand out a stream; one that hangs is given up. */
async function withTimeout(answer: Promise<Answer>, query: URLSearchParams): Promise<Answer> {
  const asked = Number(/^(\d+)s$/.exec(query.get('timeout') ?? '')?.[1] ?? 0) * 1000;
  const limit = asked > 0 ? Math.min(asked, REQUEST_TIMEOUT_MS) : REQUEST_TIMEOUT_MS;
  let timer: NodeJS.Timeout | undefined;
  const expiry = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(timeout('request did not complete within the allotted timeout')), limit);
  });
  try {
    return await Promise.race([answer, expiry]);
  } finally {
    clearTimeout(timer);
  }
}

async function fail(
  { deps, metrics }: HttpParts,
  response: Response,
  cause: unknown,
  options: RespondOptions,
  request: IncomingRequest,
): Promise<void> {
  if (cause instanceof TooManyRequests) return turnAway(response, metrics, request);
  const error = asStatusError(cause);
  metrics.failure(request.method ?? '', error.code);
  if (!(cause instanceof StatusError)) deps.logger.error({ err: cause, url: request.url }, 'request failed');
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  // The rest of a body that nobody reads would be taken for the next request.
  if (error.code === 413 && request.httpVersionMajor === 1) response.setHeader('connection', 'close');
  await respondError(response, error, options).catch(() => response.destroy());
}

/** As upstream's filter does: plain text, and when to come again. */
function turnAway(response: Response, metrics: Metrics, request: IncomingRequest): void {
  metrics.failure(request.method ?? '', 429);
  response.statusCode = 429;
  response.setHeader('retry-after', '1');
  response.setHeader('content-type', 'text/plain; charset=utf-8');
  response.setHeader('x-content-type-options', 'nosniff');
  response.end('Too many requests, please try again later.\n');
}
