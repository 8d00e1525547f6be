/** HTTP and HTTPS with Node's own client, without a proxy. */
import { readFileSync } from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import type { Readable } from 'node:stream';
import { rootCertificates } from 'node:tls';
import type { Endpoint } from './config.js';
import { connectTimeout, type HttpAnswer, type HttpRequest, idleTimeout, type Transport } from './http.js';

/** What TLS takes for an endpoint. */
export function tlsOptions({ insecure, ca }: Pick<Endpoint, 'insecure' | 'ca'>) {
  return {
    rejectUnauthorized: !insecure,
    // As for Go, a server's own certificate will do, without its issuer.
    allowPartialTrustChain: true,
    ...(ca ? { ca: [...rootCertificates, readFileSync(ca, 'utf8')] } : {}),
  };
}

function sendBody(request: http.ClientRequest, body: Readable | Buffer | undefined): void {
  if (!body || Buffer.isBuffer(body)) return void request.end(body);
  body.on('error', (error) => request.destroy(error));
  request.on('close', () => body.destroy());
  body.pipe(request);
}

export class DirectTransport implements Transport {
  private readonly agents = new Map<string, http.Agent>();

  send(
    endpoint: Pick<Endpoint, 'insecure' | 'ca'>,
    url: URL,
    { method = 'GET', headers, body }: Pick<HttpRequest, 'method' | 'headers' | 'body'>,
    signal: AbortSignal | undefined,
  ): Promise<Omit<HttpAnswer, 'url'>> {
    return new Promise((resolve, reject) => {
      const options = { method, agent: this.agent(endpoint, url), headers, ...(signal ? { signal } : {}) };
      const request = url.protocol === 'https:' ? https.request(url, options) : http.request(url, options);
      const late = () => request.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' }));
      request.once('socket', (socket) => {
        socket.setTimeout(socket.connecting ? connectTimeout : idleTimeout);
        socket.once('connect', () => socket.setTimeout(idleTimeout));
      });
      request.on('timeout', late);
      request.on('error', reject);
      request.on('response', (answer) =>
        resolve({ status: answer.statusCode!, headers: answer.headers, body: answer }),
      );
      sendBody(request, body?.());
    });
  }

  private agent(endpoint: Pick<Endpoint, 'insecure' | 'ca'>, { protocol }: URL): http.Agent {
    const key = JSON.stringify([protocol, endpoint.insecure, endpoint.ca]);
    let agent = this.agents.get(key);
    if (!agent) {
      const tls = protocol === 'https:';
      agent = tls
        ? new https.Agent({ keepAlive: true, ...tlsOptions(endpoint) })
        : new http.Agent({ keepAlive: true });
      this.agents.set(key, agent);
    }
    return agent;
  }

  async close(): Promise<void> {
    for (const agent of this.agents.values()) agent.destroy();
    this.agents.clear();
  }
}
