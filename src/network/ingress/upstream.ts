/** One attempt to bring a request to one endpoint, over kept connections. */
import http from 'node:http';
import https from 'node:https';
import type { Duplex, Readable, Writable } from 'node:stream';
import type { Endpoint, Target } from './backends.js';
import { Http2Upstreams } from './upstream-http2.js';

export const CONNECT_MS = 3000;
const MAX_IDLE = 32;
export const IDLE_MS = 30_000;
const MAX_HEADER_BYTES = 64 << 10;

export interface Attempt {
  method: string;
  path: string;
  headers: Record<string, string | string[]>;
}

/** Why an attempt failed. */
export class UpstreamError extends Error {
  constructor(
    message: string,
    /** `connect`: the endpoint has seen nothing of the request. */
    readonly phase: 'connect' | 'answer',
    readonly timedOut: boolean,
  ) {
    super(message);
  }
}

/** A request under way: `connected` once it may be written to, `answered` when the response's headers are there. */
export interface Sent {
  request: Writable;
  connected: Promise<void>;
  answered: Promise<Answer>;
}

/** An answer's headers, its body as a stream, and, at its end, its trailers. */
export interface UpstreamResponse extends Readable {
  statusCode?: number;
  statusMessage?: string;
  rawHeaders: string[];
  trailers: Record<string, string | string[] | undefined>;
  /** HTTP/2: the headers are all there is. */
  isWhole?: boolean;
}

export interface Answer {
  response: UpstreamResponse;
  /** After `101 Switching Protocols`: the connection, and what came on it already. */
  upgraded?: { socket: Duplex; head: Buffer; protocol: string | undefined };
}

const AGENT = { keepAlive: true, maxFreeSockets: MAX_IDLE, timeout: IDLE_MS, scheduling: 'lifo' } as const;

export class Upstreams {
  readonly #http = new http.Agent(AGENT);
  // As a backend's name is its address, nothing could be verified.
  readonly #https = new https.Agent({ ...AGENT, rejectUnauthorized: false });

  readonly #http2 = new Http2Upstreams();

  send(endpoint: Endpoint, protocol: Target['protocol'], attempt: Attempt): Sent {
    if (protocol === 'h2c') return this.#http2.send(endpoint, attempt);
    const { host, port } = endpoint;
    const [module, agent] = protocol === 'https' ? [https, this.#https] : [http, this.#http];
    const request = module.request({
      ...{ host, port, agent, ...attempt },
      setHost: false,
      maxHeaderSize: MAX_HEADER_BYTES,
    });
    // The agent's timeout is for idle connections; those in use have limits of their own.
    request.setTimeout(0);
    let phase: UpstreamError['phase'] = 'connect';
    let timer: NodeJS.Timeout | undefined;
    const late = () =>
      request.destroy(new UpstreamError(`no connection within ${CONNECT_MS} ms`, 'connect', true));
    const failed = (reject: (error: Error) => void) => (error: Error) => {
      clearTimeout(timer);
      reject(error instanceof UpstreamError ? error : new UpstreamError(error.message, phase, false));
    };
    const connected = new Promise<void>((resolve, reject) => {
      request.once('error', failed(reject));
      const done = () => {
        clearTimeout(timer);
        phase = 'answer';
        resolve();
      };
      request.once('socket', (socket) => {
        if (!socket.connecting) return done();
        timer = setTimeout(late, CONNECT_MS);
        socket.once(protocol === 'https' ? 'secureConnect' : 'connect', done);
      });
    });
    const answered = new Promise<Answer>((resolve, reject) => {
      request.on('error', failed(reject));
      request.once('response', (response) => resolve({ response }));
      request.once('upgrade', (response, socket, head) =>
        resolve({ response, upgraded: { socket, head, protocol: response.headers.upgrade } }),
      );
    });
    // Whoever looks at one of them only must not be told of the other as unhandled.
    connected.catch(() => {});
    answered.catch(() => {});
    return { request, connected, answered };
  }

  /** Closes connections to an endpoint that wait for the next request. */
  dropIdle(endpoint: Endpoint): void {
    const { host, port } = endpoint;
    this.#http2.dropIdle(endpoint);
    for (const agent of [this.#http, this.#https])
      for (const [name, sockets] of Object.entries(agent.freeSockets))
        if (name.startsWith(`${host}:${port}:`)) for (const socket of [...(sockets ?? [])]) socket.destroy();
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
    this.#http2.close();
  }
}
