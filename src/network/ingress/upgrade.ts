/** Upgraded connections (WebSocket and others): the request to an endpoint, then bytes both ways. */
import type { IncomingMessage } from 'node:http';
import { type Duplex, pipeline } from 'node:stream';
import type { Target } from './backends.js';
import { type ExchangeDeps, type Outcome, ProxyError, reach } from './exchange.js';
import { endToEnd, type Origin, requestHeaders } from './headers.js';
import type { UpstreamResponse } from './upstream.js';

const KEEPALIVE_MS = 30_000;

/** Resolves once both sides are joined, or the endpoint has refused. @throws ProxyError */
export async function upgrade(
  deps: ExchangeDeps,
  target: Target,
  req: IncomingMessage,
  { socket, head }: { socket: Duplex; head: Buffer },
  { origin, path }: { origin: Origin; path: string },
  outcome: Outcome,
): Promise<void> {
  if (target.protocol === 'h2c')
    throw new ProxyError(502, 'the endpoints speak HTTP/2, which has no upgrades');
  const headers = requestHeaders(req.rawHeaders, origin, req.headers.upgrade);
  const gone = new AbortController();
  const leave = () => gone.abort();
  socket.once('close', leave);
  const { answer, done } = await reach(
    deps,
    target,
    { method: req.method ?? 'GET', path, headers },
    outcome,
    {
      hasBody: false,
      gone: gone.signal,
      async send({ request, answered }) {
        request.end();
        const timer = setTimeout(
          () => request.destroy(new Error('no answer to the upgrade')),
          deps.timeouts.answer,
        );
        try {
          return await answered;
        } finally {
          clearTimeout(timer);
        }
      },
    },
  );
  socket.once('close', done);
  socket.off('close', leave);
  const { response, upgraded } = answer;
  if (!upgraded) return refuse(response, socket);
  socket.write(statusLine(response, [['connection', 'Upgrade'], ...upgradeHeader(upgraded.protocol)]));
  join(socket, head, upgraded.socket, upgraded.head, deps.timeouts.upgraded);
}

const upgradeHeader = (protocol: string | undefined): [string, string][] =>
  protocol ? [['upgrade', protocol]] : [];

/** Both directions, until one ends or both are silent too long; a dead peer is found out by keep-alive. */
function join(a: Duplex, aHead: Buffer, b: Duplex, bHead: Buffer, silence: number): void {
  if (bHead.length > 0) a.write(bHead);
  if (aHead.length > 0) b.write(aHead);
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const) {
    const tuned = one as Partial<import('node:net').Socket>;
    // Two pipelines listen on each.
    one.setMaxListeners(20);
    tuned.setNoDelay?.(true);
    tuned.setKeepAlive?.(true, KEEPALIVE_MS);
    tuned.setTimeout?.(silence, () => one.destroy());
    pipeline(one, other, () => {
      one.destroy();
      other.destroy();
    });
  }
}

/** The endpoint answered with something else than 101: that is the client's answer, and the connection ends with it. */
function refuse(response: UpstreamResponse, socket: Duplex): void {
  socket.write(statusLine(response, [['connection', 'close']]));
  pipeline(response, socket, () => socket.destroy());
}

function statusLine(response: UpstreamResponse, more: [string, string][]): string {
  const headers = [...endToEnd(response.rawHeaders)].flatMap(([name, values]) =>
    values.map((value): [string, string] => [name, value]),
  );
  const lines = [...headers, ...more].map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${response.statusCode} ${response.statusMessage}\r\n${lines.join('')}\r\n`;
}
