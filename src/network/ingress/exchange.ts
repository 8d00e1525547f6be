/** One request through the proxy: to an endpoint, to another if the first can't be reached, and the answer back. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Backends, Endpoint, Target } from './backends.js';
import { isIdempotent, type Origin, requestHeaders, responseHeaders } from './headers.js';
import { pump } from './pump.js';
import {
  type Answer,
  type Attempt,
  UpstreamError,
  type UpstreamResponse,
  type Upstreams,
} from './upstream.js';

export type FrontRequest = IncomingMessage | Http2ServerRequest;
export type FrontResponse = ServerResponse | Http2ServerResponse;

/** How long (ms) each side may keep the other waiting. */
export interface Timeouts {
  /** Between two pieces of a request's body. */
  requestBody: number;
  /** From the end of the request to the answer's headers. */
  answer: number;
  /** Between two pieces of an answer's body. */
  answerBody: number;
  /** Until a reader that takes nothing more is given up. */
  stall: number;
  /** Without a byte either way on an upgraded connection. */
  upgraded: number;
}

export const TIMEOUTS: Timeouts = {
  requestBody: 60_000,
  answer: 60_000,
  answerBody: 600_000,
  stall: 60_000,
  upgraded: 3_600_000,
};

export interface ExchangeDeps {
  backends: Backends;
  upstreams: Upstreams;
  timeouts: Timeouts;
}

/** What is known of an exchange when it is over. */
export interface Outcome {
  endpoint?: string;
  retries: number;
  bytes: number;
  error?: string;
}

/** An answer of the proxy's own. */
export class ProxyError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Whether the client is gone: what an AbortSignal tells, at a fraction of its cost for each request. */
export class Gone {
  #isGone = false;
  #onGone: (() => void) | undefined;

  get isGone(): boolean {
    return this.#isGone;
  }

  /** Called at once if it is gone already; one at a time, none for `undefined`. */
  whenLeft(onGone: (() => void) | undefined): void {
    this.#onGone = onGone;
    if (this.#isGone) onGone?.();
  }

  leave(): void {
    this.#isGone = true;
    this.#onGone?.();
  }
}

const MAX_ATTEMPTS = 4;

export const isHttp2 = (req: FrontRequest): req is Http2ServerRequest => 'stream' in req;

export function hasBody(req: FrontRequest): boolean {
  if (isHttp2(req)) return !req.stream.endAfterHeaders;
  return req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
}

/** Sends, and tries another endpoint where that is safe. @throws ProxyError, or whatever it was when the client is gone. */
export async function reach(
  { backends, upstreams }: ExchangeDeps,
  target: Target,
  attempt: Attempt,
  outcome: Outcome,
  options: {
    hasBody: boolean;
    gone: Gone;
    send(sent: ReturnType<Upstreams['send']>): Promise<Answer>;
  },
): Promise<{ answer: Answer; done: () => void }> {
  const tried = new Set<string>();
  for (;;) {
    const endpoint: Endpoint | undefined = backends.pick(target, tried);
    if (!endpoint) throw new ProxyError(tried.size > 0 ? 502 : 503, outcome.error ?? 'no endpoint is ready');
    tried.add(endpoint.key);
    outcome.endpoint = endpoint.key;
    const done = backends.begin(endpoint);
    const sent = upstreams.send(endpoint, target.protocol, attempt);
    options.gone.whenLeft(() => sent.request.destroy());
    try {
      return { answer: await options.send(sent), done };
    } catch (error) {
      done();
      options.gone.whenLeft(undefined);
      const failure = error as UpstreamError | ProxyError;
      outcome.error = failure.message;
      if (options.gone.isGone || failure instanceof ProxyError) throw failure;
      if (failure.phase === 'connect') backends.failed(endpoint);
      const isSafe = failure.phase === 'connect' || (isIdempotent(attempt.method) && !options.hasBody);
      if (failure.timedOut && failure.phase === 'answer') throw new ProxyError(504, failure.message);
      if (!isSafe || tried.size >= MAX_ATTEMPTS) throw new ProxyError(502, failure.message);
      outcome.retries++;
    }
  }
}

/** Serves a plain request. Never rejects with anything but ProxyError before, and never after the answer began. */
export async function exchange(
  deps: ExchangeDeps,
  target: Target,
  req: FrontRequest,
  res: FrontResponse,
  { origin, path }: { origin: Origin; path: string },
  outcome: Outcome,
): Promise<void> {
  const { timeouts } = deps;
  const method = req.method ?? 'GET';
  const headers = requestHeaders(req.rawHeaders, origin);
  const withBody = hasBody(req);
  // Whoever takes trailers says so, and gRPC insists on it.
  if (target.protocol === 'h2c' && req.headers.te === 'trailers') headers['te'] = 'trailers';
  if (withBody && headers['content-length'] === undefined) headers['transfer-encoding'] = 'chunked';
  if (!withBody && ['POST', 'PUT', 'PATCH'].includes(method)) headers['content-length'] = '0';

  const gone = new Gone();
  res.once('close', () => !res.writableEnded && gone.leave());
  const { answer, done } = await reach(deps, target, { method, path, headers }, outcome, {
    hasBody: withBody,
    gone,
    async send({ request, connected, answered }) {
      if (!withBody) {
        request.end();
        return await inTime(request, answered, timeouts.answer);
      }
      await connected;
      return await sendBody(req, request, answered, target.protocol, timeouts);
    },
  });
  res.once('close', done);
  relay(answer.response, res, timeouts, outcome);
}

async function inTime<T>(
  request: { destroy(error: Error): unknown },
  answered: Promise<T>,
  ms: number,
): Promise<T> {
  const timer = setTimeout(
    () => request.destroy(new UpstreamError(`no answer within ${ms} ms`, 'answer', true)),
    ms,
  );
  try {
    return await answered;
  } finally {
    clearTimeout(timer);
  }
}

function sendBody(
  req: FrontRequest,
  request: ReturnType<Upstreams['send']>['request'],
  answered: Promise<Answer>,
  protocol: Target['protocol'],
  timeouts: Timeouts,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    pump(req, request, {
      // A stream of messages may rest, where a body that was begun should go on.
      silence: protocol === 'h2c' ? timeouts.answerBody : timeouts.requestBody,
      stall: timeouts.stall,
      timedOut(side) {
        const error =
          side === 'source'
            ? new ProxyError(408, 'the body did not come in time')
            : new ProxyError(504, 'the endpoint takes no more of the body');
        reject(error);
        request.destroy(error);
      },
      ended() {
        request.end();
        inTime(request, answered, timeouts.answer).catch(() => {});
      },
    });
    req.once('error', (error) => request.destroy(error));
    answered.then(resolve, reject);
  });
}

/** Sends the answer on; if it breaks off, so does the client's: a part must not pass for the whole. */
function relay(from: UpstreamResponse, res: FrontResponse, timeouts: Timeouts, outcome: Outcome): void {
  const cut = (why: string) => {
    outcome.error ??= why;
    if ('stream' in res && res.stream && 'close' in res.stream) res.stream.close(2);
    else res.destroy();
    from.destroy();
  };
  from.on('error', (error) => cut(error.message));
  from.on('aborted', () => cut('the endpoint broke off its answer'));
  res.on('error', () => from.destroy());
  res.on('close', () => !res.writableEnded && from.destroy());
  const headers = responseHeaders(from.rawHeaders);
  if (from.isWhole) {
    res.statusCode = from.statusCode ?? 502;
    for (const [name, value] of Object.entries(headers)) if (value !== undefined) res.setHeader(name, value);
    from.resume();
    res.end();
    return;
  }
  (res as ServerResponse).writeHead(from.statusCode ?? 502, headers);
  pump(from, res as ServerResponse, {
    silence: timeouts.answerBody,
    stall: timeouts.stall,
    timedOut: (side) => cut(side === 'sink' ? 'the client reads no more' : 'the answer stalled'),
    passed(bytes) {
      outcome.bytes += bytes;
    },
    ended() {
      if (Object.keys(from.trailers).length > 0) res.addTrailers(from.trailers as Record<string, string>);
      res.end();
    },
  });
  // Headers of a stream reach the client before its first piece does; else they go in one packet with it.
  setImmediate(() => {
    if (outcome.bytes === 0 && !res.writableEnded && !res.destroyed) (res as ServerResponse).flushHeaders?.();
  });
}
