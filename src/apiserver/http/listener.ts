/** The TLS port: HTTP/1.1 and HTTP/2 on one socket, client certificates asked for but not required. */

import type { IncomingMessage } from 'node:http';
import { createSecureServer, type Http2SecureServer, type Http2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { renewBeforeLimit, SESSION_LIMITS } from '../../client/http2-limits.js';
import type { ListenOptions } from '../options.js';
import type { Response } from './respond.js';

export type IncomingRequest = IncomingMessage;

export interface ListenerHandlers {
  request(request: IncomingRequest, response: Response): void;
  upgrade(request: IncomingRequest, socket: Duplex, head: Buffer): void;
}

export interface Listener {
  port: number;
  /** Stops accepting, lets answers under way end (at most `graceMs`), then closes what is left. */
  close(graceMs: number): Promise<void>;
}

/** Rejects if the port can't be bound. */
export async function openListener(options: ListenOptions, handlers: ListenerHandlers): Promise<Listener> {
  const server = createSecureServer({
    allowHTTP1: true,
    cert: options.cert,
    key: options.key,
    ca: options.proxyCa ? [options.clientCa, options.proxyCa] : options.clientCa,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
    settings: { maxConcurrentStreams: 250, enableConnectProtocol: false },
    ...SESSION_LIMITS,
  });
  const connections = new Set<TLSSocket>();
  const sessions = new Set<Http2Session>();
  server.on('secureConnection', (socket: TLSSocket) => {
    connections.add(socket);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 30_000);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => connections.delete(socket));
  });
  server.on('session', (session) => {
    sessions.add(session);
    renewBeforeLimit(session);
    session.on('close', () => sessions.delete(session));
    session.on('error', () => session.destroy());
  });
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  server.on('clientError' as any, (_error: Error, socket: Duplex) => refuseGarbage(socket));
  server.on('request', (request, response) => handlers.request(request as any, response));
  server.on('upgrade' as any, handlers.upgrade);
  // Watches are idle for long; slow senders of headers and bodies are cut off by the server's own timeouts.
  server.setTimeout(0);
  const port = await bind(server, options);
  return { port, close: (graceMs) => close(server, connections, sessions, graceMs) };
}

function refuseGarbage(socket: Duplex): void {
  if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
  else socket.destroy();
}

function bind(server: Http2SecureServer, { host, port }: ListenOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

async function close(
  server: Http2SecureServer,
  connections: Set<TLSSocket>,
  sessions: Set<Http2Session>,
  graceMs: number,
): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const session of sessions) session.close();
  let timer: NodeJS.Timeout | undefined;
  const cut = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, graceMs);
  });
  const idle = setInterval(() => (server as any).closeIdleConnections?.(), 50);
  await Promise.race([closed, cut]);
  clearTimeout(timer);
  clearInterval(idle);
  for (const session of sessions) session.destroy();
  for (const connection of connections) connection.destroy();
  await closed;
}
