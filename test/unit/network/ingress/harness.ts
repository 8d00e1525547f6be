import { once } from 'node:events';
import http, { type RequestListener } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { pino } from 'pino';
import type { EndpointSlice, Ingress, Secret, Service } from '#types';
import { Backends } from '../../../../src/network/ingress/backends.js';
import { Certificates } from '../../../../src/network/ingress/certificates.js';
import { IngressMetrics } from '../../../../src/network/ingress/metrics.js';
import { IngressProxy } from '../../../../src/network/ingress/proxy.js';
import { mergeIngresses } from '../../../../src/network/ingress/routes.js';
import { selfSigned } from '../../../../src/network/ingress/self-signed.js';
import { Upstreams } from '../../../../src/network/ingress/upstream.js';

const ENDPOINT_PORT_NAME = 'web';
type Listener = (key: string, object: any, old: any) => void;

/** A proxy for one Ingress of `app.test` whose Service has the endpoints that `serve` is told. */
export class Bench {
  readonly #closers: (() => unknown)[] = [];
  readonly #listeners = new Map<string, Listener[]>();
  readonly metrics = new IngressMetrics();
  readonly upstreams = new Upstreams();
  readonly certificates: Certificates;
  readonly proxy: IngressProxy;
  slices: EndpointSlice[] = [];
  secret: Secret | undefined;
  port = 0;
  tlsPort = 0;
  readonly refused: string[] = [];

  constructor(
    readonly spec: Partial<NonNullable<Service['spec']>> & { appProtocol?: string } = {},
    readonly annotations: Record<string, string> = {},
  ) {
    const { appProtocol, ...rest } = spec;
    const service = {
      metadata: { name: 'app', namespace: 'default' },
      spec: { ports: [{ name: ENDPOINT_PORT_NAME, port: 80, protocol: 'TCP', appProtocol }], ...rest },
    } as Service;
    const view = { service: () => service, slices: () => this.slices };
    const source = {
      on: (resource: string, listener: Listener) =>
        void this.#listeners.set(resource, [...(this.#listeners.get(resource) ?? []), listener]),
    };
    const backends = new Backends(view, source, (one) => this.upstreams.dropIdle(one), Date.now);
    this.certificates = new Certificates({ secret: () => this.secret, unusable: () => {} });
    const routes = mergeIngresses([this.ingress]);
    this.proxy = new IngressProxy({
      ...{ backends, upstreams: this.upstreams, certificates: this.certificates, metrics: this.metrics },
      routes: () => routes,
      logger: pino({ level: 'silent' }),
      accessLog: false,
      refused: (_, why) => this.refused.push(why),
      timeouts: { answer: 1000, stall: 1000, requestBody: 500 },
    });
  }

  get ingress(): Ingress {
    const backend = { service: { name: 'app', port: { number: 80 } } };
    return {
      metadata: { name: 'app', namespace: 'default', annotations: this.annotations },
      spec: {
        tls: [{ hosts: ['app.test'], secretName: 's' }],
        rules: [{ host: 'app.test', http: { paths: [{ path: '/', pathType: 'Prefix', backend }] } }],
      },
    } as Ingress;
  }

  async open(): Promise<this> {
    this.port = await this.proxy.listenHttp(0);
    this.tlsPort = await this.proxy.listenHttps(0);
    return this;
  }

  /** A backend; its port. */
  async backend(listener: RequestListener): Promise<http.Server & { port: number }> {
    const server = http.createServer(listener).listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.#closers.push(() => {
      server.closeAllConnections();
      server.close();
    });
    return Object.assign(server, { port: (server.address() as AddressInfo).port });
  }

  /** A backend that answers every connection's first bytes with these, and closes if told; what it was sent. */
  async rawBackend(answer: string, closes = false): Promise<{ port: number; sent: () => string }> {
    let sent = '';
    const server = net.createServer((socket) => {
      this.#closers.push(() => socket.destroy());
      socket.on('error', () => {});
      socket.once('data', () => (closes ? socket.end(answer) : socket.write(answer)));
      socket.on('data', (bytes) => {
        sent += bytes;
      });
    });
    return { ...(await this.listen(server)), sent: () => sent };
  }

  async listen(server: net.Server): Promise<{ port: number }> {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.#closers.push(() => server.close());
    return { port: (server.address() as AddressInfo).port };
  }

  /** Each endpoint has a slice of its own, as each has a port of its own. */
  serve(...ports: (number | { port: number; conditions: object })[]): void {
    const before = this.slices;
    this.slices = ports.map((one) => {
      const { port, conditions } = typeof one === 'number' ? { port: one, conditions: { ready: true } } : one;
      return {
        metadata: { name: `s${port}`, namespace: 'default', labels: { 'kubernetes.io/service-name': 'app' } },
        addressType: 'IPv4',
        endpoints: [{ addresses: ['127.0.0.1'], conditions }],
        ports: [{ name: ENDPOINT_PORT_NAME, port }],
      } as unknown as EndpointSlice;
    });
    for (const listener of this.#listeners.get('endpointslices') ?? [])
      for (const slice of [...before, ...this.slices]) listener('', slice, undefined);
  }

  async useCertificate(version: string): Promise<string> {
    const { cert, key } = await selfSigned();
    const base64 = (text: string) => Buffer.from(text).toString('base64');
    const metadata = { name: 's', namespace: 'default', uid: 'u', resourceVersion: version };
    this.secret = {
      metadata,
      data: { 'tls.crt': base64(cert), 'tls.key': base64(key) },
    } as unknown as Secret;
    this.certificates.update([this.ingress]);
    await this.proxy.certificatesChanged();
    return cert;
  }

  async close(): Promise<void> {
    for (const close of this.#closers) await close();
    await this.proxy.close();
  }
}

export interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: string;
}

export function ask(
  bench: Bench,
  path: string,
  options: http.RequestOptions & { body?: string; host?: string } = {},
): Promise<Answer> {
  const { body, host = 'app.test', headers, ...rest } = options;
  return new Promise((resolve, reject) => {
    const request = http.request(
      { port: bench.port, path, agent: false, ...rest, headers: { ...(headers as object), host } },
      (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode!, headers: response.headers, body: text }),
        );
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

/** Sends bytes as they are; what comes back until the proxy closes. */
export async function raw(bench: Bench, text: string): Promise<string> {
  const socket = net.connect(bench.port, '127.0.0.1');
  socket.write(text);
  let got = '';
  for await (const chunk of socket) got += chunk;
  return got;
}

export const hello: RequestListener = (_, res) => res.end('hello');
