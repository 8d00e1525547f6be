/** The transport over HTTP/1.1 and TLS, with connections kept alive. */
import {
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { StatusError } from '../api/machinery/status.js';
import { deepFreeze, type KubeObject, type WatchEvent } from '../api/machinery/types.js';
import { jsonLines } from './lines.js';
import { countRequest } from './measures.js';
import type { Request, Transport } from './transport.js';

export interface HttpsTransportOptions {
  /** Such as `https://127.0.0.1:6443`; a path is put before every request's. */
  server: string;
  /** PEM: the authorities to trust instead of the system's. */
  ca?: string | Buffer;
  /** PEM: the client's certificate and key. */
  cert?: string | Buffer;
  key?: string | Buffer;
  /** A bearer token, or what gives the current one for each request. */
  token?: string | (() => string | Promise<string>);
  /** Sent with every request (user-agent, impersonation). */
  headers?: Record<string, string>;
  /** The name in the server's certificate, if not the host's. */
  serverName?: string;
  /** Trust any server. */
  insecure?: boolean;
  /** Milliseconds for a request other than a watch; 60 s when absent. */
  timeout?: number;
  /** Bytes of one watch event at most; 16 MiB when absent. */
  maxEventBytes?: number;
}

/** The server could not be reached, or the connection broke. Trying again may help. */
export class ConnectionError extends Error {
  readonly code: string;

  constructor(server: string, cause: Error & { code?: string }) {
    super(`the API server at ${server} can't be reached: ${cause.message || cause.code}`, { cause });
    this.name = 'ConnectionError';
    this.code = cause.code ?? '';
  }
}

const REASONS: Record<number, string> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  406: 'NotAcceptable',
  409: 'Conflict',
  410: 'Gone',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

/** Rejects with StatusError for what the server refuses, with ConnectionError when it can't be reached. */
export function httpsTransport(options: HttpsTransportOptions): Transport {
  return new HttpsTransport(options);
}

class HttpsTransport implements Transport {
  readonly #options: HttpsTransportOptions;
  readonly #url: URL;
  readonly #agent: HttpsAgent | HttpAgent;
  readonly #send: typeof httpsRequest;

  constructor(options: HttpsTransportOptions) {
    this.#options = options;
    this.#url = new URL(options.server);
    const secure = this.#url.protocol === 'https:';
    const { ca, cert, key, serverName, insecure } = options;
    this.#send = secure ? httpsRequest : httpRequest;
    this.#agent = secure
      ? new HttpsAgent({
          keepAlive: true,
          ca,
          cert,
          key,
          servername: serverName,
          rejectUnauthorized: insecure !== true,
        })
      : new HttpAgent({ keepAlive: true });
  }

  async request<T = KubeObject>(request: Request): Promise<T> {
    try {
      const response = await this.#exchange(request, this.#options.timeout ?? 60_000);
      return deepFreeze(JSON.parse(await readAll(response))) as T;
    } catch (error) {
      if (request.signal?.aborted) throw request.signal.reason;
      throw this.#connectionError(error);
    }
  }

  async *watch<T extends KubeObject = KubeObject>(request: Request): AsyncIterable<WatchEvent<T>> {
    try {
      const query = { ...request.query, watch: 'true' };
      const response = await this.#exchange({ ...request, query }, 0);
      // Whoever stops reading early closes the connection.
      for await (const event of jsonLines(response, this.#options.maxEventBytes ?? 16 << 20)) {
        const watched = deepFreeze(event) as WatchEvent<T>;
        if (watched.type === 'ERROR') throw StatusError.from(watched.object as any);
        yield watched;
      }
    } catch (error) {
      if (request.signal?.aborted) return;
      throw this.#connectionError(error);
    }
  }

  async close(): Promise<void> {
    this.#agent.destroy();
  }

  /** Sends the request; resolves with the response when it is a success. */
  async #exchange(request: Request, timeout: number): Promise<IncomingMessage> {
    const body = request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body));
    const options = await this.#requestOptions(request, body, timeout);
    const started = performance.now();
    const counted = (code: number | '<error>') =>
      countRequest(this.#url.host, request.method, code, performance.now() - started);
    const response = await this.#attempt(options, body, request.signal, request.method === 'GET').catch(
      (error) => {
        counted('<error>');
        throw error;
      },
    );
    const code = response.statusCode ?? 500;
    counted(code);
    if (code >= 200 && code < 300) return response;
    throw statusError(code, await readAll(response).catch(() => ''));
  }

  async #requestOptions(
    request: Request,
    body: Buffer | undefined,
    timeout: number,
  ): Promise<RequestOptions> {
    const { token } = this.#options;
    const bearer = typeof token === 'function' ? await token() : token;
    const query = new URLSearchParams(request.query).toString();
    const prefix = this.#url.pathname.replace(/\/$/, '');
    return {
      method: request.method,
      protocol: this.#url.protocol,
      hostname: this.#url.hostname.replace(/^\[|\]$/g, ''),
      port: this.#url.port,
      path: `${prefix}${request.path}${query === '' ? '' : `?${query}`}`,
      agent: this.#agent,
      timeout,
      headers: {
        accept: 'application/json',
        'user-agent': 'keelson',
        ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': body.length }),
        ...(bearer === undefined || bearer === '' ? {} : { authorization: `Bearer ${bearer}` }),
        ...this.#options.headers,
        ...request.headers,
      },
    };
  }

  /** One that fails on a kept connection which the server had just closed is sent again, if it only reads. */
  async #attempt(
    options: RequestOptions,
    body: Buffer | undefined,
    signal: AbortSignal | undefined,
    readOnly: boolean,
  ): Promise<IncomingMessage> {
    for (let again = readOnly; ; again = false) {
      let reused = false;
      try {
        return await new Promise<IncomingMessage>((resolve, reject) => {
          const outgoing = this.#send({ ...options, signal }, resolve);
          outgoing.on('socket', (socket) => socket.setKeepAlive(true, 15_000));
          outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${options.timeout} ms`)));
          outgoing.on('error', (error) => {
            reused = outgoing.reusedSocket;
            reject(error);
          });
          outgoing.end(body);
        });
      } catch (error) {
        const { code } = error as { code?: string };
        if (again && reused && (code === 'ECONNRESET' || code === 'EPIPE')) continue;
        throw this.#connectionError(error);
      }
    }
  }

  #connectionError(error: unknown): unknown {
    if (error instanceof StatusError || error instanceof ConnectionError) return error;
    return new ConnectionError(this.#options.server, error as Error);
  }
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

function statusError(code: number, body: string): StatusError {
  try {
    const status = JSON.parse(body);
    if (status.kind === 'Status') return StatusError.from({ code, ...status });
  } catch {
    // Not from the API server itself, but from something before it: its text is all there is.
  }
  return new StatusError(code, REASONS[code] ?? '', body.trim() || `the server answered with status ${code}`);
}
