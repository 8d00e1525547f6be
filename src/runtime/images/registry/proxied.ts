/** HTTP and HTTPS through the proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY tell. */
import { EnvHttpProxyAgent, request } from 'undici';
import type { Endpoint } from './config.js';
import { tlsOptions } from './direct.js';
import { connectTimeout, type HttpAnswer, type HttpRequest, idleTimeout, type Transport } from './http.js';

export class ProxiedTransport implements Transport {
  private readonly agents = new Map<string, EnvHttpProxyAgent>();

  async send(
    endpoint: Pick<Endpoint, 'insecure' | 'ca'>,
    url: URL,
    { method = 'GET', headers, body }: Pick<HttpRequest, 'method' | 'headers' | 'body'>,
    signal: AbortSignal | undefined,
  ): Promise<Omit<HttpAnswer, 'url'>> {
    const { statusCode, ...answer } = await request(url, {
      method: method as 'GET',
      headers,
      ...(body ? { body: body() } : {}),
      dispatcher: this.agent(endpoint),
      ...(signal ? { signal } : {}),
    });
    return { status: statusCode, headers: answer.headers, body: answer.body };
  }

  private agent(endpoint: Pick<Endpoint, 'insecure' | 'ca'>): EnvHttpProxyAgent {
    const key = JSON.stringify([endpoint.insecure, endpoint.ca]);
    let agent = this.agents.get(key);
    if (!agent) {
      const tls = tlsOptions(endpoint);
      agent = new EnvHttpProxyAgent({
        connect: { timeout: connectTimeout, ...tls },
        requestTls: tls,
        headersTimeout: idleTimeout,
        bodyTimeout: idleTimeout,
      });
      this.agents.set(key, agent);
    }
    return agent;
  }

  async close(): Promise<void> {
    await Promise.all([...this.agents.values()].map((agent) => agent.destroy()));
    this.agents.clear();
  }
}
