/** Streams of exec, attach and port-forward on a loopback port: each has an address that nobody can guess, for one use. */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { asStatusError } from '../../api/machinery/status.js';
import { acceptWebSocket, SPDY_TUNNEL } from '../../streams/accept.js';
import { chooseProtocol, SESSION_PROTOCOLS } from '../../streams/channels.js';
import { serveSession } from '../../streams/exec.js';
import { FORWARD_PROTOCOLS, serveForward } from '../../streams/port-forward.js';
import type { OpenedSession, StreamSession } from '../../streams/session-status.js';
import { SPDY_SESSION_PROTOCOLS, spdySession } from '../../streams/spdy-exec.js';
import { spdyPortForward } from '../../streams/spdy-port-forward.js';
import { serveSpdySocket, serveSpdyTunnel } from '../../streams/spdy-transport.js';

/** How long an address is good for. */
const VALID_MS = 60_000;
const MAX_WAITING = 1000;

type Serve = (request: IncomingMessage, socket: Duplex, head: Buffer) => Promise<void>;

export class StreamServer {
  readonly #logger: Logger;
  readonly #waiting = new Map<string, { serve: Serve; timer: NodeJS.Timeout }>();
  readonly #closing = new AbortController();
  #server: Server | undefined;
  #port = 0;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  async start(): Promise<void> {
    const server = createServer((_request, response) => {
      response.writeHead(404).end('404 page not found\n');
    });
    this.#server = server;
    server.on('upgrade', (request, socket, head) => void this.#upgraded(request, socket, head));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    server.unref();
    this.#port = (server.address() as AddressInfo).port;
  }

  close(): void {
    this.#closing.abort();
    for (const { timer } of this.#waiting.values()) clearTimeout(timer);
    this.#waiting.clear();
    this.#server?.close();
    this.#server?.closeAllConnections();
  }

  /** The address at which `open`'s session can be had. */
  session(kind: 'exec' | 'attach', request: OpenedSession['request'], open: () => Promise<StreamSession>) {
    return this.#offer(kind, async (upgrade, socket, head) => {
      const opened = { request, session: await open() };
      try {
        await this.#serveSession(opened, upgrade, socket, head);
      } finally {
        opened.session.close();
      }
    });
  }

  /** The address at which ports of `pod` can be reached. */
  forward(pod: string, open: (port: number) => Promise<Duplex>) {
    return this.#offer('portforward', async (request, socket, head) => {
      const { signal } = this.#closing;
      if (isSpdy(request))
        return serveSpdySocket(
          socket,
          head,
          'portforward.k8s.io',
          (send) => spdyPortForward(send, pod, open),
          signal,
        );
      const asked = protocolsOf(request);
      if (asked.includes(SPDY_TUNNEL.name)) {
        const webSocket = await acceptWebSocket(request, socket, head, SPDY_TUNNEL);
        return serveSpdyTunnel(webSocket, (send) => spdyPortForward(send, pod, open), signal);
      }
      const protocol = chooseProtocol(asked, FORWARD_PROTOCOLS);
      if (!protocol) throw new Error('none of the requested protocols is served');
      const ports = new URL(request.url ?? '/', 'http://node').searchParams.getAll('port').map(Number);
      return serveForward(
        await acceptWebSocket(request, socket, head, protocol),
        protocol,
        ports,
        open,
        signal,
      );
    });
  }

  #offer(kind: string, serve: Serve): { url: string } {
    if (this.#waiting.size >= MAX_WAITING) throw new Error('too many streams wait for their clients');
    const token = randomBytes(16).toString('hex');
    const path = `/${kind}/${token}`;
    const timer = setTimeout(() => this.#waiting.delete(path), VALID_MS);
    timer.unref();
    this.#waiting.set(path, { serve, timer });
    return { url: `http://127.0.0.1:${this.#port}${path}` };
  }

  async #upgraded(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy());
    const path = (request.url ?? '').split('?', 1)[0]!;
    const waiting = this.#waiting.get(path);
    if (!waiting)
      return void socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    clearTimeout(waiting.timer);
    this.#waiting.delete(path);
    try {
      await waiting.serve(request, socket, head);
    } catch (error) {
      const { message } = asStatusError(error);
      this.#logger.debug({ err: error }, 'a stream could not be served');
      const length = Buffer.byteLength(message);
      if (socket.writable)
        socket.end(
          `HTTP/1.1 500 Internal Server Error\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n${message}`,
        );
    }
  }

  async #serveSession(
    opened: OpenedSession,
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
  ): Promise<void> {
    const { signal } = this.#closing;
    if (isSpdy(request)) {
      const asked = String(request.headers['x-stream-protocol-version'] ?? 'channel.k8s.io').split(/\s*,\s*/);
      const protocol = SPDY_SESSION_PROTOCOLS.find((name) => asked.includes(name));
      if (!protocol) throw new Error('none of the requested protocols is served');
      const start = (send: Parameters<typeof spdySession>[0]) =>
        spdySession(send, opened, protocol, () => socket.end());
      return serveSpdySocket(socket, head, protocol, start, signal);
    }
    const protocol = chooseProtocol(protocolsOf(request), SESSION_PROTOCOLS);
    if (!protocol) throw new Error('none of the requested protocols is served');
    await serveSession(await acceptWebSocket(request, socket, head, protocol), protocol, opened, signal);
  }
}

const isSpdy = ({ headers }: IncomingMessage): boolean => /^spdy\/3\.1$/i.test(String(headers.upgrade));

const protocolsOf = ({ headers }: IncomingMessage): string[] =>
  String(headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean);
