/** One attempt to bring a request to one endpoint, over kept connections. */
import http, { type ClientRequest, type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { Endpoint, Target } from './backends.js';

const CONNECT_MS = 3000;
const MAX_IDLE = 32;
const IDLE_MS = 30_000;
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
  request: ClientRequest;
  connected: Promise<void>;
  answered: Promise<Answer>;
}

export interface Answer {
  response: IncomingMessage;
  /** After `101 Switching Protocols`: the connection, and what came on it already. */
  upgraded?: { socket: import('node:stream').Duplex; head: Buffer };
}

const AGENT = { keepAlive: true, maxFreeSockets: MAX_IDLE, timeout: IDLE_MS, scheduling: 'lifo' } as const;

export class Upstreams {
  readonly #http = new http.Agent(AGENT);
  // As a backend's name is its address, nothing could be verified.
  readonly #https = new https.Agent({ ...AGENT, rejectUnauthorized: false });

  send({ host, port }: Endpoint, protocol: Target['protocol'], attempt: Attempt): Sent {
    const [module, agent] = protocol === 'https' ? [https, this.#https] : [http, this.#http];
    const request = module.request({
      ...{ host, port, agent, ...attempt },
      setHost: false,
      maxHeaderSize: MAX_HEADER_BYTES,
    });
    // The agent's timeout is for idle connections; those in use have limits of their own.
    request.setTimeout(0);
    let phase: UpstreamError['phase'] = 'connect';
    const timer = setTimeout(
      () => request.destroy(new UpstreamError(`no connection within ${CONNECT_MS} ms`, 'connect', true)),
      CONNECT_MS,
    );
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
        if (socket.connecting) socket.once(protocol === 'https' ? 'secureConnect' : 'connect', done);
        else done();
      });
    });
    const answered = new Promise<Answer>((resolve, reject) => {
      request.on('error', failed(reject));
      request.once('response', (response) => resolve({ response }));
      request.once('upgrade', (response, socket, head) => resolve({ response, upgraded: { socket, head } }));
    });
    // Whoever looks at one of them only must not be told of the other as unhandled.
    connected.catch(() => {});
    answered.catch(() => {});
    return { request, connected, answered };
  }

  /** Closes connections to an endpoint that wait for the next request. */
  dropIdle({ host, port }: Endpoint): void {
    for (const agent of [this.#http, this.#https])
      for (const [name, sockets] of Object.entries(agent.freeSockets))
        if (name.startsWith(`${host}:${port}:`)) for (const socket of [...(sockets ?? [])]) socket.destroy();
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }
}
