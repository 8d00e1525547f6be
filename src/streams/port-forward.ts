/**
 * Port-forward over WebSocket channels (`v4.channel.k8s.io`): for each port in the query a data channel and an
 * error channel, both of which begin with the port in two bytes, little-endian.
 */
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { asStatusError } from '../api/machinery/status.js';
import { writeTo } from './back-pressure.js';
import { Channels, type Protocol } from './channels.js';

export const FORWARD_PROTOCOLS: Protocol[] = [
  { name: 'v4.channel.k8s.io', base64: false, version: 4 },
  { name: 'v4.base64.channel.k8s.io', base64: true, version: 4 },
  { name: '', base64: false, version: 4 },
];

/** Never rejects. */
export async function serveForward(
  socket: WebSocket,
  protocol: Protocol,
  ports: number[],
  open: (port: number) => Promise<Duplex>,
  closing: AbortSignal,
): Promise<void> {
  const connections: (Duplex | undefined)[] = [];
  const early: Buffer[][] = ports.map(() => []);
  const channels = new Channels(socket, protocol, {
    data(channel, data) {
      const i = channel >> 1;
      if (channel % 2 !== 0 || i >= ports.length || data.length === 0) return;
      const connection = connections[i];
      if (!connection) early[i]!.push(data);
      else send(channels, connection, data);
    },
    closeChannel(channel) {
      connections[channel >> 1]?.end();
    },
    closed() {
      for (const connection of connections) connection?.destroy();
    },
  });
  const end = () => channels.close(1001);
  closing.addEventListener('abort', end, { once: true });
  await Promise.all(ports.map((port, i) => forward(channels, port, i, open, connections, early[i]!)));
  closing.removeEventListener('abort', end);
  channels.close();
}

async function forward(
  channels: Channels,
  port: number,
  i: number,
  open: (port: number) => Promise<Duplex>,
  connections: (Duplex | undefined)[],
  early: Buffer[],
): Promise<void> {
  const number = Buffer.from([port & 0xff, port >> 8]);
  await channels.write(2 * i, number);
  await channels.write(2 * i + 1, number);
  try {
    const connection = await open(port);
    connection.on('error', () => undefined);
    connections[i] = connection;
    for (const data of early) send(channels, connection, data);
    await channels.pump(2 * i, connection);
    connection.destroy();
  } catch (error) {
    await channels.write(2 * i + 1, Buffer.from(asStatusError(error).message));
  }
}

function send(channels: Channels, connection: Duplex, data: Buffer): void {
  const full = writeTo(connection, data);
  if (!full) return;
  channels.pause();
  void full.then(() => channels.resume());
}
