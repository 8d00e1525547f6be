/** One request through the proxy: to an endpoint, to another if the first can't be reached, and the answer back. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { type Answer, type Attempt, type Sent, UpstreamError } from './attempt.js';
import type { Backends, Endpoint, Target } from './backends.js';
import { isIdempotent, type Origin, requestHeaders } from './headers.js';
import { ProxyError } from './proxy-error.js';
import { pump } from './pump.js';
import { relay } from './relay.js';
import type { Upstreams } from './upstream.js';

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

/**
 * Tries one endpoint after the other, where that is safe: `send` brings the attempt to one of them.
 * @throws ProxyError, or whatever it was when the client is gone.
 */
export async function reach(
  backends: Backends,
  target: Target,
  attempt: Attempt,
  gone: Gone,
  outcome: Outcome,
  send: (endpoint: Endpoint) => Promise<Answer>,
): Promise<{ answer: Answer; done: () => void }> {
  const tried = new Set<string>();
  for (let attempts = 1; ; attempts++) {
    const endpoint = backends.pick(target, tried);
    if (!endpoint) throw new ProxyError(tried.size > 0 ? 502 : 503, outcome.error ?? 'no endpoint is ready');
    tried.add(endpoint.key);
    outcome.endpoint = endpoint.key;
    const done = backends.begin(endpoint);
    try {
      return { answer: await send(endpoint), done };
    } catch (error) {
      done();
      gone.whenLeft(undefined);
      const failure = error as UpstreamError | ProxyError;
      outcome.error = failure.message;
      if (gone.isGone || failure instanceof ProxyError) throw failure;
      if (failure.phase === 'connect') backends.failed(endpoint);
      const isSafe = failure.phase === 'connect' || (isIdempotent(attempt.method) && !attempt.hasBody);
      if (failure.timedOut && failure.phase === 'answer') throw new ProxyError(504, failure.message);
      if (!isSafe || attempts >= MAX_ATTEMPTS) throw new ProxyError(502, failure.message);
      outcome.retries++;
      if (!(error as UpstreamError).isStale) continue;
      attempt.isAlone = true;
      tried.delete(endpoint.key);
    }
  }
}

/** Serves a plain request. Never rejects with anything but ProxyError before, and never after the answer began. */
export async function exchange(
  { backends, upstreams, timeouts }: ExchangeDeps,
  target: Target,
  req: FrontRequest,
  res: FrontResponse,
  { origin, path }: { origin: Origin; path: string },
  outcome: Outcome,
): Promise<void> {
  const attempt: Attempt = {
    ...{ method: req.method ?? 'GET', path, host: origin.host },
    ...{ headers: requestHeaders(req.rawHeaders, origin), hasBody: hasBody(req) },
  };
  const length = req.headers['content-length'];
  if (length !== undefined) attempt.length = Number(length);
  // Whoever takes trailers says so, and gRPC insists on it.
  if (target.protocol === 'h2c' && req.headers.te === 'trailers') attempt.headers.push('te', 'trailers');

  const gone = new Gone();
  let done: (() => void) | undefined;
  res.once('close', () => {
    if (!res.writableEnded) gone.leave();
    done?.();
  });
  const reached = await reach(backends, target, attempt, gone, outcome, async (endpoint) => {
    const sent = upstreams.send(endpoint, target.protocol, attempt);
    gone.whenLeft(() => sent.request.destroy());
    if (attempt.hasBody) {
      if (sent.connected) await sent.connected;
      return await sendBody(req, sent, target.protocol, timeouts);
    }
    sent.request.end();
    return await inTime(sent, timeouts.answer);
  });
  done = reached.done;
  if (gone.isGone) return done();
  relay(reached.answer.response, req, res, timeouts, outcome);
}

/** Gives up with 504 when the answer's headers are not there in time (ms). */
export async function inTime({ request, answered }: Sent, ms: number): Promise<Answer> {
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
  sent: Sent,
  protocol: Target['protocol'],
  timeouts: Timeouts,
): Promise<Answer> {
  const { request, answered } = sent;
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
        inTime(sent, timeouts.answer).catch(() => {});
      },
    });
    req.once('error', (error) => request.destroy(error));
    answered.then(resolve, reject);
  });
}
