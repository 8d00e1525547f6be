/** Upgrades of a request to a WebSocket. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { StatusError } from '../api/machinery/status.js';
import type { Protocol } from './channels.js';

const MAX_MESSAGE_BYTES = 1024 * 1024;

/** SPDY within the messages of a WebSocket: what kubectl forwards ports over. */
export const SPDY_TUNNEL: Protocol = {
  name: 'SPDY/3.1+portforward.k8s.io',
  base64: false,
  version: 1,
};

const chosen = new WeakMap<IncomingMessage, string>();

const server = new WebSocketServer({
  ...{ noServer: true, clientTracking: false, perMessageDeflate: false, maxPayload: MAX_MESSAGE_BYTES },
  handleProtocols: (_asked, request) => chosen.get(request) || false,
});

/** With the protocol that was chosen of those that the client asked for. Throws StatusError when the client has gone. */
export function acceptWebSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  { name }: Protocol,
): Promise<WebSocket> {
  chosen.set(request, name);
  // The slash in the name of the tunnel is none of the characters that RFC 6455 allows, and the library would refuse it.
  if (request.headers['sec-websocket-protocol']) request.headers['sec-websocket-protocol'] = 'chosen';
  return new Promise((resolve, reject) => {
    const failed = () =>
      reject(new StatusError(400, 'BadRequest', 'the connection ended before the upgrade'));
    socket.once('close', failed);
    server.handleUpgrade(request, socket, head, (webSocket) => {
      socket.off('close', failed);
      resolve(webSocket);
    });
  });
}
