/** The proxy: listens, finds the route of each request, and answers for itself where there is none. */
import http, { type IncomingMessage } from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { renewBeforeLimit, SESSION_LIMITS } from '../../client/http2-limits.js';
import { type Asked, ask } from './ask.js';
import type { Backends, Target } from './backends.js';
import type { Certificates } from './certificates.js';
import {
  type ExchangeDeps,
  exchange,
  type FrontRequest,
  type FrontResponse,
  isHttp2,
  type Outcome,
  TIMEOUTS,
  type Timeouts,
} from './exchange.js';
import type { Origin } from './headers.js';
import type { IngressMetrics } from './metrics.js';
import { answer, endWith, redirect } from './own-answers.js';
import { ProxyError } from './proxy-error.js';
import { isOffer, reread } from './reread.js';
import type { Route, RoutingTable } from './routes.js';
import { isWebSocket, type Upgrading, upgrade, upgradeOf, webSocketOf } from './upgrade.js';
import type { Upstreams } from './upstream.js';

export interface ProxyOptions {
  backends: Backends;
  upstreams: Upstreams;
  certificates: Certificates;
  metrics: IngressMetrics;
  /** What holds now. */
  routes(): RoutingTable;
  logger: Logger;
  /** A line in the log for each request. */
  accessLog: boolean;
  timeouts?: Partial<Timeouts>;
  /** Told whenever somebody asks for a route that is not served. */
  refused?(route: Route, why: string): void;
}

const MAX_HEADER_BYTES = 32 << 10;
const MAX_CONNECTIONS = 16_384;
const MAX_STREAMS = 128;
/**
 * MB of a connection of HTTP/2, beyond which its new streams are refused. Each of its streams may hold its headers, the
 * piece that waits to be sent and the next one (64 KiB, as a socket is read), and must not keep others from being opened
 * only because the client is slow to read; more is nothing that a client has a right to.
 */
const MAX_SESSION_MEMORY = (MAX_STREAMS * (MAX_HEADER_BYTES + 2 * (64 << 10))) >> 20;
const HEADERS_MS = 15_000;
const HANDSHAKE_MS = 10_000;
const IDLE_MS = 75_000;
/** How long requests under way may go on when the proxy closes. */
const DRAIN_MS = 3000;

const LIMITS = {
  maxHeaderSize: MAX_HEADER_BYTES,
  headersTimeout: HEADERS_MS,
  // A large upload may take its time; that it goes on at all is seen to piece by piece.
  requestTimeout: 0,
  keepAliveTimeout: IDLE_MS,
  connectionsCheckingInterval: 5000,
  insecureHTTPParser: false,
};

export class IngressProxy {
  readonly #options: ProxyOptions;
  readonly #deps: ExchangeDeps;
  readonly #servers = new Set<Server>();
  readonly #sockets = new Set<Socket>();
  #secure: http2.Http2SecureServer | undefined;
  #httpsPort: number | undefined;
  readonly #sessions = new Set<http2.ServerHttp2Session>();

  constructor(options: ProxyOptions) {
    this.#options = options;
    const { backends, upstreams, timeouts } = options;
    this.#deps = { backends, upstreams, timeouts: { ...TIMEOUTS, ...timeouts } };
  }

  /** Listens for HTTP; 0 is any free port. Rejects when the port is taken. */
  listenHttp(port: number): Promise<number> {
    return this.#listen(http.createServer(LIMITS), port, 'http');
  }

  /** Listens for HTTPS, with HTTP/2 for who wants it. */
  async listenHttps(port: number): Promise<number> {
    const { certificates } = this.#options;
    const server = http2.createSecureServer({
      ...LIMITS,
      ...SESSION_LIMITS,
      maxSessionMemory: MAX_SESSION_MEMORY,
      ...(await certificates.general()),
      allowHTTP1: true,
      handshakeTimeout: HANDSHAKE_MS,
      minVersion: 'TLSv1.2',
      settings: {
        maxConcurrentStreams: MAX_STREAMS,
        maxHeaderListSize: MAX_HEADER_BYTES,
        enableConnectProtocol: true,
      },
      maxHeaderListPairs: 256,
      SNICallback: (name, done) => {
        certificates.context(name).then(
          (context) => done(null, context),
          (error) => done(error),
        );
      },
    });
    // These come with HTTP/1.1 for an HTTP/2 server, but not by its options.
    Object.assign(server, LIMITS);
    server.on('session', (session) => {
      this.#sessions.add(session);
      renewBeforeLimit(session);
      session.setTimeout(IDLE_MS, () => session.close());
      session.on('error', () => session.destroy());
      session.on('close', () => this.#sessions.delete(session));
    });
    this.#secure = server;
    this.#httpsPort = await this.#listen(server, port, 'https');
    return this.#httpsPort;
  }

  /** New handshakes get the new certificates; connections that are open go on. */
  async certificatesChanged(): Promise<void> {
    this.#secure?.setSecureContext(await this.#options.certificates.general());
  }

  /** Takes no more connections, lets requests under way end for a moment, then cuts what is left. */
  async close(): Promise<void> {
    const closed = [...this.#servers].map(
      (server) => new Promise<void>((resolve) => server.close(() => resolve())),
    );
    for (const server of this.#servers) (server as http.Server).closeIdleConnections?.();
    for (const session of this.#sessions) session.close();
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, DRAIN_MS);
    await Promise.all(closed);
    clearTimeout(timer);
    this.#servers.clear();
    this.#options.upstreams.close();
  }

  #listen(server: Server, port: number, protocol: Origin['protocol']): Promise<number> {
    const { metrics } = this.#options;
    server.maxConnections = MAX_CONNECTIONS;
    server.on('connection', (socket: Socket) => {
      if (this.#sockets.has(socket)) return;
      metrics.connected(1);
      this.#sockets.add(socket);
      socket.on('close', () => {
        metrics.connected(-1);
        this.#sockets.delete(socket);
      });
    });
    server.on('request', (req: FrontRequest, res: FrontResponse) => void this.#request(req, res, protocol));
    server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (isOffer(req)) {
        reread(server, req, socket, head);
        return;
      }
      const refuse = (status: number) => endWith(socket, status, http.STATUS_CODES[status] ?? '');
      void this.#upgrade(req, upgradeOf(req, socket, head), protocol, 101, refuse);
    });
    server.on('connect', (req: FrontRequest, to: Duplex | http2.Http2ServerResponse) => {
      if (!('writeHead' in to)) endWith(to, 405, 'Method Not Allowed');
      else if (!isHttp2(req) || !isWebSocket(req)) to.writeHead(405).end();
      else void this.#upgrade(req, webSocketOf(req), protocol, 200, (status) => answer(req, to, status));
    });
    server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) =>
      this.#malformed(error, socket),
    );
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, () => {
        server.off('error', reject);
        server.on('error', (error) =>
          this.#options.logger.error({ err: error }, 'the ingress listener failed'),
        );
        this.#servers.add(server);
        resolve((server.address() as AddressInfo).port);
      });
    });
  }

  async #request(req: FrontRequest, res: FrontResponse, protocol: Origin['protocol']): Promise<void> {
    const started = performance.now();
    const outcome: Outcome = { retries: 0, bytes: 0 };
    let way: Asked | undefined;
    req.on('error', () => {});
    res.on('error', () => {});
    res.once('close', () => this.#over(req, res.headersSent ? res.statusCode : 499, started, way, outcome));
    try {
      way = ask(req, protocol, this.#options.routes());
      if (way.route?.toHttps && protocol === 'http' && this.#httpsPort !== undefined)
        return redirect(req, res, way, this.#httpsPort);
      const target = this.#target(way);
      await exchange(this.#deps, target, req, res, way, outcome);
    } catch (error) {
      outcome.error ??= (error as Error).message;
      if (!(error instanceof ProxyError) && !res.destroyed)
        this.#options.logger.warn({ err: error }, 'a request failed within the proxy');
      answer(req, res, error instanceof ProxyError ? error.status : 502);
    }
  }

  /** `accepted`: the status that tells of success. */
  async #upgrade(
    req: FrontRequest,
    client: Upgrading,
    protocol: Origin['protocol'],
    accepted: number,
    refuse: (status: number) => void,
  ) {
    const { socket } = client;
    const started = performance.now();
    const outcome: Outcome = { retries: 0, bytes: 0 };
    let way: Asked | undefined;
    let status = accepted;
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#over(req, status, started, way, outcome));
    try {
      way = ask(req, protocol, this.#options.routes());
      await upgrade(this.#deps, this.#target(way), client, way, outcome);
    } catch (error) {
      outcome.error ??= (error as Error).message;
      status = error instanceof ProxyError ? error.status : 502;
      refuse(status);
    }
  }

  #target({ route }: Asked): Target {
    if (!route) throw new ProxyError(404, 'no Ingress has a rule for it');
    const { backends, refused } = this.#options;
    const target = backends.target(route);
    const why = target ? undefined : backends.refusal(route);
    if (why !== undefined) {
      refused?.(route, why);
      throw new ProxyError(503, why);
    }
    if (!target) throw new ProxyError(503, `there is no Service ${route.service ?? ''} with that port`);
    return target;
  }

  /** What is no HTTP at all, or too long, or too slow: told, and closed. Without a handshake nothing can be told. */
  #malformed(error: NodeJS.ErrnoException, socket: Duplex): void {
    const { code = '' } = error;
    if (!/^(HPE_|ERR_HTTP_)/.test(code) || !socket.writable) {
      socket.destroy();
      return;
    }
    const status = code === 'HPE_HEADER_OVERFLOW' ? 431 : code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
    this.#options.metrics.served('', status, 0, 0, 0);
    endWith(socket, status, http.STATUS_CODES[status] ?? '');
  }

  #over(req: FrontRequest, status: number, started: number, way: Asked | undefined, outcome: Outcome): void {
    const { metrics, logger, accessLog } = this.#options;
    const ms = performance.now() - started;
    const ingress = way?.route?.ingress ?? '';
    metrics.served(ingress, status, ms / 1000, outcome.bytes, outcome.retries);
    if (!accessLog) return;
    const { client, host, protocol } = way?.origin ?? {};
    logger.info(
      {
        ...{ client, method: req.method, protocol, host, path: req.url, status, ingress },
        ...outcome,
        ms: Math.round(ms),
      },
      'request',
    );
  }
}
