/** Attempts over HTTP/2 in plain text (h2c), such as gRPC: one connection to each endpoint, with many streams. */
import http2, { type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import {
  type Answer,
  type Attempt,
  CONNECT_MS,
  IDLE_MS,
  type Sent,
  UpstreamError,
  type UpstreamResponse,
} from './attempt.js';
import type { Endpoint } from './backends.js';
import { byName } from './headers.js';

/** A header block that is the whole message: gRPC tells its errors so, and must get them so. */
const END_STREAM = 1;
/** The handshake of WebSockets by HTTP/1.1, which HTTP/2 does without. */
const HANDSHAKE = new Set(['sec-websocket-key', 'sec-websocket-accept']);
const NOTHING = Buffer.alloc(0);

export class Http2Upstreams {
  readonly #sessions = new Map<string, ClientHttp2Session>();
  readonly #takeWebSockets = new WeakMap<ClientHttp2Session, Promise<boolean>>();

  send(endpoint: Endpoint, attempt: Attempt): Sent {
    return this.#request(endpoint, attempt, { ':method': attempt.method });
  }

  /** Whether the endpoint takes WebSockets within HTTP/2. Rejects with UpstreamError if it can't be reached. */
  takesWebSockets(endpoint: Endpoint): Promise<boolean> {
    return this.#takeWebSockets.get(this.#session(endpoint))!;
  }

  /** @see https://www.rfc-editor.org/rfc/rfc8441 */
  sendWebSocket(endpoint: Endpoint, attempt: Attempt): Sent {
    const headers = attempt.headers.filter((_, i, all) => !HANDSHAKE.has(all[i - (i % 2)]!.toLowerCase()));
    const connect = { ':method': 'CONNECT', ':protocol': 'websocket' };
    const sent = this.#request(endpoint, { ...attempt, headers }, connect);
    const answered = sent.answered.then(({ response }): Answer => {
      const { status, rawHeaders, body } = response;
      if (status !== 200 || Buffer.isBuffer(body)) return { response };
      const accepted = { ...response, status: 101, reason: 'Switching Protocols', rawHeaders, body: NOTHING };
      const socket = body as ClientHttp2Stream;
      return { response: accepted, upgraded: { socket, head: NOTHING, protocol: 'websocket' } };
    });
    answered.catch(() => {});
    return { ...sent, answered };
  }

  #request(endpoint: Endpoint, attempt: Attempt, pseudo: Record<string, string>): Sent {
    const session = this.#session(endpoint);
    const stream = session.request(
      {
        ...byName(attempt.headers),
        ...pseudo,
        ':path': attempt.path,
        ':authority': attempt.host || endpoint.key,
      },
      { endStream: false },
    );
    const connected = session.connecting ? connects(session, stream) : undefined;
    const answered = answerOf(session, stream);
    connected?.catch(() => {});
    answered.catch(() => {});
    return { request: stream, connected, answered };
  }

  /** Requests under way end, others get a new connection. */
  dropIdle({ key }: Endpoint): void {
    this.#sessions.get(key)?.close();
    this.#sessions.delete(key);
  }

  close(): void {
    for (const session of this.#sessions.values()) session.destroy();
    this.#sessions.clear();
  }

  #session({ key }: Endpoint): ClientHttp2Session {
    const open = this.#sessions.get(key);
    if (open && !open.closed && !open.destroyed) return open;
    const session = http2.connect(`http://${key}`);
    const forget = () => this.#sessions.get(key) === session && this.#sessions.delete(key);
    // Every stream that waits for the connection listens for it.
    session.setMaxListeners(0);
    session.on('error', forget);
    session.on('goaway', forget);
    session.on('close', forget);
    session.setTimeout(IDLE_MS, () => session.close());
    this.#sessions.set(key, session);
    this.#takeWebSockets.set(session, takesWebSockets(session));
    return session;
  }
}

/** By the endpoint's settings; one that never tells them does not. */
function takesWebSockets(session: ClientHttp2Session): Promise<boolean> {
  const takes = new Promise<boolean>((resolve, reject) => {
    const timer = setTimeout(() => settle(false), CONNECT_MS);
    const settle = (takes: boolean) => {
      clearTimeout(timer);
      if (session.connecting) reject(new UpstreamError('no connection', 'connect', false));
      else resolve(takes);
    };
    session.once('remoteSettings', (settings) => settle(settings.enableConnectProtocol === true));
    session.once('error', (error) => {
      if (session.connecting) reject(new UpstreamError(error.message, 'connect', false));
    });
    session.once('close', () => settle(false));
  });
  takes.catch(() => {});
  return takes;
}

function connects(session: ClientHttp2Session, stream: ClientHttp2Stream): Promise<void> {
  return new Promise((resolve, reject) => {
    const why = `no connection within ${CONNECT_MS} ms`;
    const timer = setTimeout(() => {
      reject(new UpstreamError(why, 'connect', true));
      session.destroy(new UpstreamError(why, 'connect', true));
    }, CONNECT_MS);
    session.once('connect', resolve);
    stream.once('error', (error) => reject(new UpstreamError(error.message, 'connect', false)));
    stream.once('close', () => clearTimeout(timer));
    session.once('connect', () => clearTimeout(timer));
  });
}

function answerOf(session: ClientHttp2Session, stream: ClientHttp2Stream): Promise<Answer> {
  let isConnected = !session.connecting;
  if (!isConnected)
    session.once('connect', () => {
      isConnected = true;
    });
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      if (error instanceof UpstreamError) return reject(error);
      // The endpoint tells that it did nothing about the stream.
      const isUntouched = !isConnected || stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM;
      reject(new UpstreamError(error.message, isUntouched ? 'connect' : 'answer', false));
    };
    stream.on('error', fail);
    stream.once('close', () => fail(new Error('the endpoint closed the stream')));
    stream.once('response', (headers, flags, raw?: string[]) => {
      const isWhole = (flags & END_STREAM) !== 0;
      if (isWhole) stream.resume();
      const response: UpstreamResponse = {
        status: Number(headers[':status'] ?? 502),
        reason: '',
        rawHeaders: raw ?? flatten(headers),
        body: isWhole ? NOTHING : stream,
        trailers: {},
      };
      stream.once('trailers', (fields) => {
        for (const [name, value] of Object.entries(fields))
          if (!name.startsWith(':') && value != null) response.trailers[name] = value as string | string[];
      });
      resolve({ response });
    });
  });
}

const flatten = (headers: http2.IncomingHttpHeaders): string[] =>
  Object.entries(headers).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value ?? '']).flatMap((one) => [name, `${one}`]),
  );
