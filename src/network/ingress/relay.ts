/** An answer's way from the endpoint to the client. */
import type { ServerResponse } from 'node:http';
import type { Http2ServerResponse } from 'node:http2';
import type { UpstreamResponse } from './attempt.js';
import { type FrontRequest, type FrontResponse, isHttp2, type Outcome, type Timeouts } from './exchange.js';
import { byName, responseHeaders } from './headers.js';
import { pump } from './pump.js';

/** Sends the answer on; if it breaks off, so does the client's: a part must not pass for the whole. */
export function relay(
  from: UpstreamResponse,
  req: FrontRequest,
  res: FrontResponse,
  timeouts: Timeouts,
  outcome: Outcome,
): void {
  const { status, body } = from;
  const headers = responseHeaders(from.rawHeaders);
  if (Buffer.isBuffer(body)) {
    outcome.bytes = body.length;
    begin(req, res, status, headers, body.length === 0 && !hasTrailers(from));
    addTrailers(res, from);
    if (body.length === 0) res.end();
    else res.end(body);
    return;
  }
  const cut = (why: string) => {
    outcome.error ??= why;
    if ('stream' in res && res.stream && 'close' in res.stream) res.stream.close(2);
    else res.destroy();
    body.destroy();
  };
  body.on('error', (error) => cut(error.message));
  body.on('aborted', () => cut('the endpoint broke off its answer'));
  res.on('close', () => !res.writableEnded && body.destroy());
  begin(req, res, status, headers, false);
  pump(body, res as ServerResponse, {
    silence: timeouts.answerBody,
    stall: timeouts.stall,
    timedOut: (side) => cut(side === 'sink' ? 'the client reads no more' : 'the answer stalled'),
    passed(bytes) {
      outcome.bytes += bytes;
    },
    ended() {
      addTrailers(res, from);
      res.end();
    },
  });
  // Headers of a stream reach the client before its first piece does; else they go in one packet with it.
  setImmediate(() => {
    if (outcome.bytes === 0 && !res.writableEnded && !res.destroyed) (res as ServerResponse).flushHeaders?.();
  });
}

/** `isWhole`: nothing follows, which HTTP/2 tells with the headers. */
function begin(
  req: FrontRequest,
  res: FrontResponse,
  status: number,
  headers: string[],
  isWhole: boolean,
): void {
  if (!isHttp2(req)) (res as ServerResponse).writeHead(status, headers);
  else if (!isWhole) (res as Http2ServerResponse).writeHead(status, byName(headers));
  else {
    res.statusCode = status;
    for (const [name, value] of Object.entries(byName(headers))) res.setHeader(name, value);
  }
}

const hasTrailers = ({ trailers }: UpstreamResponse): boolean => {
  for (const _ in trailers) return true;
  return false;
};

function addTrailers(res: FrontResponse, from: UpstreamResponse): void {
  if (hasTrailers(from)) res.addTrailers(from.trailers as Record<string, string>);
}
