/** Upgrades through a proxy: the two connections become one, whatever they speak. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Call } from '../context.js';
import { open, unreachable } from './backend.js';
import { outgoing, type Route } from './forward.js';

/** Resolves when the connection has ended; rejects with StatusError before anything was written to `socket`. */
export async function tunnel(call: Call, route: Route, socket: Duplex, head: Buffer): Promise<void> {
  const { method, path, headers } = outgoing(call, route);
  const asked = { connection: 'Upgrade', upgrade: call.header('upgrade') ?? '' };
  const request = await open(route.backend, { method, path, headers: { ...headers, ...asked } }, call.signal);
  const answered = new Promise<{ answer: IncomingMessage; peer?: Duplex; first?: Buffer }>(
    (resolve, reject) => {
      request.once('upgrade', (answer, peer, first) => resolve({ answer, peer, first }));
      request.once('response', (answer) => resolve({ answer }));
      request.once('error', (error) => reject(unreachable(error)));
    },
  );
  request.on('error', () => {});
  request.end();
  const { answer, peer, first } = await answered;
  socket.write(headOf(answer, peer !== undefined));
  if (!peer) {
    answer.pipe(socket);
    return ended(socket);
  }
  if (first && first.length > 0) socket.write(first);
  if (head.length > 0) peer.write(head);
  for (const [from, to] of [
    [socket, peer],
    [peer, socket],
  ] as const) {
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
    from.pipe(to);
  }
  await ended(socket);
}

const ended = (socket: Duplex): Promise<void> =>
  socket.destroyed ? Promise.resolve() : new Promise((resolve) => socket.once('close', () => resolve()));

/** As it came; an answer that is no upgrade ends with the connection. */
function headOf(answer: IncomingMessage, upgraded: boolean): string {
  const lines = [`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}`];
  for (let i = 0; i < answer.rawHeaders.length; i += 2) {
    const name = answer.rawHeaders[i]!.toLowerCase();
    if (!upgraded && (name === 'connection' || name === 'transfer-encoding' || name === 'keep-alive'))
      continue;
    lines.push(`${answer.rawHeaders[i]}: ${answer.rawHeaders[i + 1]}`);
  }
  if (!upgraded) lines.push('Connection: close');
  return `${lines.join('\r\n')}\r\n\r\n`;
}
