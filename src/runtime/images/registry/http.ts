/** HTTP to registries: redirects, errors in words, and patience with servers that fail for a moment. */
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { ImageError } from '../../types.js';
import type { Endpoint } from './config.js';
import { DirectTransport } from './direct.js';

export interface HttpAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Readable;
  /** After redirects. */
  url: string;
}

export interface HttpRequest {
  /** GET when absent. */
  method?: string;
  /** Gives the bytes anew for each attempt. */
  body?: () => Readable | Buffer;
  headers: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** Milliseconds until headers have to be there. */
  timeout?: number;
}

/** Milliseconds until a connection, and without a byte on it. */
export const connectTimeout = 10_000;
export const idleTimeout = 30_000;

/** Sends one request; rejects when there is no answer. */
export interface Transport {
  send(
    endpoint: Pick<Endpoint, 'insecure' | 'ca'>,
    url: URL,
    request: Pick<HttpRequest, 'method' | 'headers' | 'body'>,
    signal: AbortSignal | undefined,
  ): Promise<Omit<HttpAnswer, 'url'>>;
  close(): Promise<void>;
}

const redirects = [301, 302, 303, 307, 308];
const proxySet = ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy'].some((name) => process.env[name]);

export class HttpClient {
  private readonly direct = new DirectTransport();
  private proxied: Promise<Transport> | undefined;

  /** The client for proxies is large, and loaded only where the environment tells one. */
  private async transport(url: URL): Promise<Transport> {
    if (!proxySet || /^(localhost|127\.|\[::1\])/.test(url.hostname)) return this.direct;
    this.proxied ??= import('./proxied.js').then(({ ProxiedTransport }) => new ProxiedTransport());
    return this.proxied;
  }

  /** Follows redirects, without credentials for another host. Any status is an answer; throws without one. */
  async get(endpoint: Endpoint, address: string, options: HttpRequest): Promise<HttpAnswer> {
    let url = new URL(address);
    let headers = options.headers;
    for (let hops = 0; hops < 10; hops++) {
      const answer = await this.once(endpoint, url, { ...options, headers });
      const { location } = answer.headers;
      if (!redirects.includes(answer.status) || typeof location !== 'string') return answer;
      discard(answer);
      const next = new URL(location, url);
      if (next.origin !== url.origin) {
        const { authorization: _, ...others } = headers;
        headers = others;
      }
      url = next;
    }
    throw new ImageError('Internal', `${address} redirects too often`);
  }

  private async once(endpoint: Endpoint, url: URL, options: HttpRequest): Promise<HttpAnswer> {
    const { signal, timeout } = options;
    const signals = [...(signal ? [signal] : []), ...(timeout ? [AbortSignal.timeout(timeout)] : [])];
    const either = signals.length > 1 ? AbortSignal.any(signals) : signals[0];
    try {
      const transport = await this.transport(url);
      const headers = { 'user-agent': 'keelson', ...options.headers };
      return { ...(await transport.send(endpoint, url, { ...options, headers }, either)), url: url.href };
    } catch (error) {
      signal?.throwIfAborted();
      throw new ConnectionError(url, error as Error, options.method);
    }
  }

  /** Again after a broken connection or a 5xx or 429 answer; not when nobody listens. */
  async getPatiently(endpoint: Endpoint, url: string, options: HttpRequest): Promise<HttpAnswer> {
    for (let attempt = 0; ; attempt++) {
      const last = attempt === 3;
      try {
        const answer = await this.get(endpoint, url, options);
        if (last || (answer.status < 500 && answer.status !== 429)) return answer;
        discard(answer);
      } catch (error) {
        if (last || !(error instanceof ConnectionError) || !error.passing) throw error;
      }
      await sleep(250 * 2 ** attempt * (0.75 + Math.random() / 2), undefined, { signal: options.signal });
    }
  }

  async close(): Promise<void> {
    await this.direct.close();
    await (await this.proxied)?.close();
  }
}

/** For an answer whose body is of no interest: lets the connection be used again. */
export function discard({ body }: Pick<HttpAnswer, 'body'>): void {
  body.on('error', () => {}).resume();
}

/** No answer at all. */
export class ConnectionError extends ImageError {
  /** Whether trying again at once makes sense. */
  readonly passing: boolean;

  constructor(url: URL, cause: Error, method = 'GET') {
    const code = (cause as NodeJS.ErrnoException).code ?? cause.name;
    super(
      'Unreachable',
      `failed to do request: ${method[0]}${method.slice(1).toLowerCase()} "${url.href}": ${explain(url, String(code), cause)}`,
    );
    this.passing = ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'].includes(String(code));
  }
}

/** In the words that Go's client has for it. */
function explain(url: URL, code: string, cause: Error): string {
  const address = `${url.hostname}:${url.port || (url.protocol === 'http:' ? 80 : 443)}`;
  if (code === 'ENOTFOUND') return `dial tcp: lookup ${url.hostname}: no such host`;
  if (code === 'EAI_AGAIN') return `dial tcp: lookup ${url.hostname}: server misbehaving`;
  if (code === 'ECONNREFUSED') return `dial tcp ${address}: connect: connection refused`;
  if (code === 'ENETUNREACH') return `dial tcp ${address}: connect: network is unreachable`;
  if (code === 'EHOSTUNREACH') return `dial tcp ${address}: connect: no route to host`;
  if (/TIMEDOUT|TIMEOUT|AbortError/i.test(code)) return `dial tcp ${address}: i/o timeout`;
  return cause.message || code;
}
