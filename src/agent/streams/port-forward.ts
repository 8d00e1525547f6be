/** Port-forward: a TCP connection to a port in the pod. */
import { connect } from 'node:net';
import { StatusError } from '../../api/machinery/status.js';
import { Channel } from '../../rpc/hub.js';
import { findWorker, type Serve } from './serve.js';

interface PortForwardRequest {
  namespace: string;
  pod: string;
  uid: string;
  port: number;
}

export const servePortForward: Serve = async (stream, request: PortForwardRequest, events, deps) => {
  const input = stream.input(Channel.stdin);
  const worker = findWorker(deps, request);
  const host = worker.podIP;
  if (!host) throw new StatusError(400, 'BadRequest', `pod ${request.pod} has no address yet`);
  const socket = connect({ host, port: request.port, allowHalfOpen: true });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', (error) => {
      const why = `failed to connect to ${host}:${request.port} in the pod: ${error.message}`;
      reject(new StatusError(500, 'InternalError', why));
    });
  });
  socket.on('error', () => socket.destroy());
  events.closed.signal.addEventListener('abort', () => socket.destroy(), { once: true });
  stream.ready();
  input.pipe(socket);
  const output = stream.output(Channel.stdout);
  socket.pipe(output);
  socket.once('close', () => output.end(() => stream.end()));
};
