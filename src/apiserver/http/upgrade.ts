/** WebSocket upgrades: exec, attach, port-forward, logs and watches. */
import type { Duplex } from 'node:stream';
import type { HttpParts } from './handler.js';
import type { IncomingRequest } from './listener.js';

/** Never rejects. */
export async function serveUpgrade(
  _parts: HttpParts,
  _request: IncomingRequest,
  socket: Duplex,
  _head: Buffer,
): Promise<void> {
  socket.end('HTTP/1.1 501 Not Implemented\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
}
