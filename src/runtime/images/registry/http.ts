/** HTTP to registries: certificates, proxies, redirects, time limits and retries. */
import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { rootCertificates } from 'node:tls';
import { Agent, type Dispatcher, EnvHttpProxyAgent, request } from 'undici';
import { ImageError } from '../../types.js';
import type { Endpoint } from './config.js';

export interface HttpAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Readable & { dump(): Promise<unknown>; text(): Promise<string> };
  /** After redirects. */
  url: string;
}

export interface HttpRequest {
  headers: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** Milliseconds until headers have to be there. */
  timeout?: number;
}

const connectTimeout = 10_000;
const answerTimeout = 30_000;

export class HttpClient {
  private readonly agents = new Map<string, Dispatcher>();

  private agent(endpoint: Pick<Endpoint, 'insecure' | 'ca'>, url: URL): Dispatcher {
    const loopback = /^(localhost|127\.|\[::1\])/.test(url.hostname);
    const key = JSON.stringify([endpoint.insecure, endpoint.ca, loopback]);
    let agent = this.agents.get(key);
    if (!agent) {
      const tls = {
        rejectUnauthorized: !endpoint.insecure,
        ...(endpoint.ca ? { ca: [...rootCertificates, readFileSync(endpoint.ca, 'utf8')] } : {}),
      };
      const options = {
        connect: { timeout: connectTimeout, ...tls },
        requestTls: tls,
        headersTimeout: answerTimeout,
        bodyTimeout: answerTimeout,
      };
      agent = loopback ? new Agent(options) : new EnvHttpProxyAgent(options);
      this.agents.set(key, agent);
    }
    return agent;
  }

  /** Follows redirects, without credentials for another host. Any status is an answer; throws without one. */
  async get(endpoint: Endpoint, address: string, options: HttpRequest): Promise<HttpAnswer> {
    let url = new URL(address);
    let headers = options.headers;
    for (let hops = 0; hops < 10; hops++) {
      const answer = await this.once(endpoint, url, { ...options, headers });
      const { location } = answer.headers;
      if (![301, 302, 303, 307, 308].includes(answer.status) || typeof location !== 'string') return answer;
      await answer.body.dump();
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
    try {
      const answer = await request(url, {
        method: 'GET',
        headers: { 'user-agent': 'keelson', ...options.headers },
        dispatcher: this.agent(endpoint, url),
        ...(signals.length ? { signal: AbortSignal.any(signals) } : {}),
      });
      return {
        status: answer.statusCode,
        headers: answer.headers,
        body: answer.body as HttpAnswer['body'],
        url: url.href,
      };
    } catch (error) {
      signal?.throwIfAborted();
      throw new ConnectionError(url, error as Error);
    }
  }

  /** Again after a broken connection or a 5xx or 429 answer; not when nobody listens. */
  async getPatiently(endpoint: Endpoint, url: string, options: HttpRequest): Promise<HttpAnswer> {
    for (let attempt = 0; ; attempt++) {
      const last = attempt === 3;
      try {
        const answer = await this.get(endpoint, url, options);
        if (last || (answer.status < 500 && answer.status !== 429)) return answer;
        await answer.body.dump();
      } catch (error) {
        if (last || !(error instanceof ConnectionError) || !error.passing) throw error;
      }
      await sleep(250 * 2 ** attempt * (0.75 + Math.random() / 2), undefined, { signal: options.signal });
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.agents.values()].map((agent) => agent.destroy()));
    this.agents.clear();
  }
}

/** No answer at all. */
export class ConnectionError extends ImageError {
  /** Whether trying again at once makes sense. */
  readonly passing: boolean;

  constructor(url: URL, cause: Error) {
    const code = (cause as NodeJS.ErrnoException).code ?? cause.name;
    super('Unreachable', `failed to do request: Get "${url.href}": ${explain(url, code, cause)}`);
    this.passing = ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'].includes(code);
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
  if (/TIMEOUT|TimeoutError/i.test(code)) return `dial tcp ${address}: i/o timeout`;
  return cause.message || code;
}
