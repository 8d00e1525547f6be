/** Requests that ask for an upgrade which is not to be had: read again as if they had not asked. */
import type { IncomingMessage } from 'node:http';
import type { Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';

/** `h2c` is an offer that every client can do without: Java's and curl's make it with any request in plain text. */
export const isOffer = ({ headers }: IncomingMessage): boolean => /^\s*h2c\s*$/i.test(headers.upgrade ?? '');

/** Gives the connection back to its server, with the request ahead of what came after it (`head`). */
export function reread(server: Server, req: IncomingMessage, socket: Duplex, head: Buffer): void {
  const { method, url, httpVersion, rawHeaders } = req;
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const [name, value] = [rawHeaders[i]!, rawHeaders[i + 1]!];
    if (/^connection$/i.test(name)) lines.push(`${name}: ${withoutUpgrade(value)}`);
    else if (!/^(upgrade|http2-settings)$/i.test(name)) lines.push(`${name}: ${value}`);
  }
  const text = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  const fail = () => socket.destroy();
  socket.on('error', fail);
  // The server has to be done with the connection before it can take it again.
  setImmediate(() => {
    socket.off('error', fail);
    if (socket.destroyed) return;
    socket.unshift(Buffer.concat([text, head]));
    server.emit(socket instanceof TLSSocket ? 'secureConnection' : 'connection', socket);
  });
}

const withoutUpgrade = (names: string): string =>
  names
    .split(',')
    .map((name) => name.trim())
    .filter((name) => !/^(upgrade|http2-settings)$/i.test(name))
    .join(', ') || 'keep-alive';
