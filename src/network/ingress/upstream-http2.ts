/** Attempts over HTTP/2 in plain text (h2c), such as gRPC: one connection to each endpoint, with many streams. */
import http2, { type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import type { Endpoint } from './backends.js';
import { type Answer, type Attempt, CONNECT_MS, IDLE_MS, type Sent, UpstreamError } from './upstream.js';

/** A header block that is the whole message: gRPC tells its errors so, and must get them so. */
const END_STREAM = 1;

export class Http2Upstreams {
  readonly #sessions = new Map<string, ClientHttp2Session>();

  send(endpoint: Endpoint, { method, path, headers }: Attempt): Sent {
    const session = this.#session(endpoint);
    const { host, 'transfer-encoding': _, ...rest } = headers;
    const stream = session.request(
      { ...rest, ':method': method, ':path': path, ':authority': host ?? endpoint.key },
      { endStream: false },
    );
    const connected = session.connecting ? connects(session, stream) : Promise.resolve();
    const answered = answerOf(session, stream);
    connected.catch(() => {});
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
    return session;
  }
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
      const rawHeaders = (raw ?? flatten(headers)).slice();
      const trailers: Record<string, string | string[]> = {};
      const response = Object.assign(stream, {
        statusCode: Number(headers[':status'] ?? 502),
        rawHeaders,
        trailers,
        isWhole: (flags & END_STREAM) !== 0,
      });
      stream.once('trailers', (fields) => {
        for (const [name, value] of Object.entries(fields))
          if (!name.startsWith(':') && value != null) trailers[name] = value as string | string[];
      });
      resolve({ response });
    });
  });
}

const flatten = (headers: http2.IncomingHttpHeaders): string[] =>
  Object.entries(headers).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value ?? '']).flatMap((one) => [name, `${one}`]),
  );
