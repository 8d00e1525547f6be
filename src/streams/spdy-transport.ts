/** What SPDY connections run over. Both end with the client, or when the server closes. */
import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import type { Send, SpdyConnection } from './spdy.js';

/** A bare SPDY connection, as clients before WebSocket make it; `protocol` is what its streams mean. */
export async function serveSpdySocket(
  socket: Duplex,
  head: Buffer,
  protocol: string,
  start: (send: Send) => SpdyConnection,
  closing: AbortSignal,
): Promise<void> {
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
  );
  const connection = start((bytes) => new Promise((resolve) => socket.write(bytes, () => resolve())));
  const end = () => socket.destroy();
  closing.addEventListener('abort', end, { once: true });
  try {
    if (head.length > 0) await connection.receive(head);
    for await (const bytes of socket) await connection.receive(bytes);
  } catch {
    socket.destroy();
  } finally {
    closing.removeEventListener('abort', end);
    connection.close();
  }
}

/** SPDY within the binary messages of a WebSocket. */
export async function serveSpdyTunnel(
  socket: WebSocket,
  start: (send: Send) => SpdyConnection,
  closing: AbortSignal,
): Promise<void> {
  let reading: Promise<void> = Promise.resolve();
  const connection = start(
    (bytes) =>
      new Promise((resolve) =>
        socket.readyState === WebSocket.OPEN ? socket.send(bytes, () => resolve()) : resolve(),
      ),
  );
  const end = () => socket.close(1001);
  closing.addEventListener('abort', end, { once: true });
  socket.on('error', () => socket.terminate());
  socket.on('message', (message: Buffer) => {
    socket.pause();
    reading = reading
      .then(() => connection.receive(message))
      .then(
        () => socket.resume(),
        () => socket.terminate(),
      );
  });
  await new Promise((resolve) => socket.once('close', resolve));
  closing.removeEventListener('abort', end);
  connection.close();
}
