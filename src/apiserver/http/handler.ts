/** An HTTP request through the core: authenticate, negotiate, handle, respond; every error becomes a Status. */

import type { Logger } from 'pino';
import { durationSeconds } from '../../api/machinery/duration.js';
import { asStatusError, badRequest, StatusError, timeout } from '../../api/machinery/status.js';
import type { Resource } from '../../api/resources/define.js';
import { hasSchema } from '../../api/schema/index.js';
import type { Authenticate } from '../../auth/authenticate.js';
import type { Attributes } from '../../auth/user.js';
import { type AuditRecord, auditIdOf } from '../audit/index.js';
import type { Body, Call, Deps, ListPage } from '../context.js';
import { type Answer, codeOf, handle } from '../core.js';
import { type FlowControl, type Ticket, TooManyRequests } from '../filters/flow-control/index.js';
import { type RequestInfo, requestInfo } from '../filters/request-info.js';
import type { Metrics } from '../metrics.js';
import type { NonResource } from '../nonresource/index.js';
import type { OnRevoked } from '../options.js';
import { isProxy } from '../subresources/proxy.js';
import { answerCors } from './cors.js';
import type { IncomingRequest } from './listener.js';
import {
  type Accepted,
  JSON_ACCEPTED,
  negotiate,
  type ObjectForm,
  type Offer,
  requireStream,
} from './media-types.js';
import { credentialsOf, parseUrl, readBody, unreadBody } from './request.js';
import { type RespondOptions, type Response, respond, respondError } from './respond.js';

export interface HttpParts {
  deps: Deps;
  authenticate: Authenticate;
  onRevoked: OnRevoked;
  nonResource: NonResource;
  metrics: Metrics;
  flow: FlowControl;
  /** Origins whose pages may use the API. */
  cors: RegExp[];
}

const FORMS: ObjectForm[] = ['object', 'table', 'partial'];
const WITHOUT_TABLES: ObjectForm[] = ['object', 'partial'];
/** Upstream's `--request-timeout`. */
const REQUEST_TIMEOUT_MS = 60_000;

/** Never rejects. */
export async function serveRequest(
  parts: HttpParts,
  request: IncomingRequest,
  response: Response,
): Promise<void> {
  if (answerCors(parts.cors, request, response)) return;
  const { deps, metrics } = parts;
  const started = performance.now();
  const url = parseUrl(request);
  const { path, query } = url;
  const info = requestInfo(request.method ?? 'GET', path, query);
  const longRunning = isLongRunning(info);
  const served = longRunning ? undefined : metrics.begin(info);
  const counted = (code: number) =>
    metrics.request(
      info,
      code,
      performance.now() - started,
      query.get('dryRun') ?? '',
      request.headers['content-type'],
    );
  let over = false;
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
  let record: AuditRecord | undefined;
  const auditId = auditIdOf(request.headers['audit-id'] as string | undefined);
  response.setHeader('audit-id', auditId);
  try {
    const gone = goneSignal(response);
    const user = await parts.authenticate(credentialsOf(request));
    if (longRunning && !response.destroyed)
      response.on(
        'close',
        parts.onRevoked(user.name, () => response.destroy()),
      );
    const base = callOf(request, url);
    record = deps.auditor?.begin({ ...info, user }, base, auditId);
    const offer = offerOf(path);
    if (!passedOn) options.accepted = preferred(offer, request.headers.accept);
    const stream = passedOn ? unreadBody(request) : undefined;
    const body: Body = passedOn ? { type: 'none' } : await readBody(request);
    await record?.requested(body);
    const call: Call = { ...base, body, stream, user, signal: gone };
    const handled = () =>
      handle(deps, parts.nonResource, call, {
        identified: async (attributes, constraint) => {
          record?.steps.identified?.(attributes, constraint);
          if (!longRunning || info.verb === 'watch')
            ticket = await admitted(parts.flow, attributes, response, gone);
          // It was given up while it waited.
          if (over) ticket?.release();
        },
        authorized: (reason) => record?.steps.authorized?.(reason),
        annotated: (key, value) => record?.steps.annotated?.(key, value),
        routed: ({ verb }, resource) => {
          if (!passedOn) options.accepted = acceptedFor(offer, request.headers.accept, verb, resource);
        },
      });
    answer = longRunning ? await handled() : await withTimeout(handled, query);
    if (response.destroyed) return;
    counted(codeOf(answer));
    const ended = longRunning ? metrics.longRunning(info) : () => undefined;
    if (answer.result.type === 'watch') options.sent = metrics.watchEvents(info);
    if (longRunning) record?.started(codeOf(answer));
    // A watch has done its work once it is open.
    if (answer.result.type === 'watch') ticket?.release();
    if (answer.result.type === 'list') parts.flow.listed(answer.attributes, objectsOf(answer.result.page));
    await respond(response, answer, options).finally(ended);
    record?.answered(answer);
  } catch (error) {
    if (error instanceof TooManyRequests) record?.ended(429);
    else if (record) record.failed(error);
    else if (asStatusError(error).code === 401)
      deps.auditor?.unauthenticated(info, callOf(request, url), auditId, attemptedBy(request));
    const code = error instanceof TooManyRequests ? 429 : asStatusError(error).code;
    counted(code);
    await fail(parts, response, error, options, request);
  } finally {
    over = true;
    served?.();
    tell(deps.logger, request, info, response.statusCode, performance.now() - started, longRunning);
    ticket?.release();
    // The client went before the answer.
    record?.ended(200);
    if (answer?.result.type === 'watch') await answer.result.batches.return();
  }
}

function attemptedBy(request: IncomingRequest): string[] {
  const { token, certificate } = credentialsOf(request);
  return [...(token === undefined ? [] : ['bearer']), ...(certificate ? ['x509'] : [])];
}

/** Slower requests are told of, as upstream's traces tell. */
const SLOW_MS = 1000;

/** A line for every request where the log wants that much, and for the slow ones. */
function tell(
  logger: Logger,
  request: IncomingRequest,
  { verb, resource, subresource, namespace, name }: RequestInfo,
  code: number,
  ms: number,
  longRunning: boolean,
): void {
  const slow = !longRunning && ms > SLOW_MS;
  if (!slow && !logger.isLevelEnabled('debug')) return;
  const line = {
    method: request.method,
    url: request.url,
    verb,
    resource: subresource === '' ? resource : `${resource}/${subresource}`,
    namespace,
    name,
    code,
    ms: Math.round(ms),
    userAgent: request.headers['user-agent'],
    client: request.socket.remoteAddress,
  };
  if (slow) logger.info(line, 'slow request');
  else logger.debug(line, 'request');
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

/** Aborts when the client goes away before the answer is complete. */
function goneSignal(response: Response): AbortSignal {
  const controller = new AbortController();
  response.on('close', () => controller.abort());
  response.on('error', () => controller.abort());
  return controller.signal;
}

/** What is offered at a path; undefined where there is nothing to choose. */
function offerOf(path: string): Offer | undefined {
  const [, root, ...parts] = path.split('/');
  if ((root !== 'api' && root !== 'apis') || parts.length === 0) return undefined;
  const protobuf = root === 'api' ? hasSchema('', parts[0] ?? '') : hasSchema(parts[0] ?? '', parts[1] ?? '');
  return { forms: FORMS, protobuf };
}

/** The form of an error that comes before what was asked for is known: JSON where nothing else is accepted. */
function preferred(offer: Offer | undefined, accept: string | undefined): Accepted {
  try {
    return offer ? negotiate(accept, offer) : JSON_ACCEPTED;
  } catch {
    return JSON_ACCEPTED;
  }
}

/** Throws 406. */
function acceptedFor(
  offer: Offer | undefined,
  accept: string | undefined,
  verb: string,
  resource: Resource,
): Accepted {
  if (!offer) return JSON_ACCEPTED;
  // Reviews, which nobody reads again, have no tables.
  const forms = resource.verbs.includes('get') ? offer.forms : WITHOUT_TABLES;
  const accepted = negotiate(accept, { ...offer, forms });
  if (verb === 'watch') requireStream(accepted.format, offer.protobuf);
  return accepted;
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

/** Handlers answer soon or hand out a stream; one that hangs is given up. Throws 400. */
async function withTimeout(handle: () => Promise<Answer>, query: URLSearchParams): Promise<Answer> {
  const limit = timeoutOf(query);
  let timer: NodeJS.Timeout | undefined;
  const expiry = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(timeout('request did not complete within the allotted timeout')), limit);
  });
  try {
    return await Promise.race([handle(), expiry]);
  } finally {
    clearTimeout(timer);
  }
}

/** The client's `timeout`, no more than the server's own. */
function timeoutOf(query: URLSearchParams): number {
  const given = query.get('timeout') ?? '';
  if (given === '') return REQUEST_TIMEOUT_MS;
  const asked = durationSeconds(given);
  if (asked === undefined)
    throw badRequest(
      `invalid timeout specified in the request URL - time: invalid duration ${JSON.stringify(given)}`,
    );
  return asked > 0 ? Math.min(asked * 1000, REQUEST_TIMEOUT_MS) : REQUEST_TIMEOUT_MS;
}

async function fail(
  { deps }: HttpParts,
  response: Response,
  cause: unknown,
  options: RespondOptions,
  request: IncomingRequest,
): Promise<void> {
  if (cause instanceof TooManyRequests) return turnAway(response);
  const error = asStatusError(cause);
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
function turnAway(response: Response): void {
  response.statusCode = 429;
  response.setHeader('retry-after', '1');
  response.setHeader('content-type', 'text/plain; charset=utf-8');
  response.setHeader('x-content-type-options', 'nosniff');
  response.end('Too many requests, please try again later.\n');
}
