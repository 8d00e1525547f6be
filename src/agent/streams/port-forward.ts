/** Port-forward: a TCP connection to a port of the pod's own loopback address, as upstream's runtimes make it. */
import { Socket } from 'node:net';
import { StatusError } from '../../api/machinery/status.js';
import { Channel } from '../../rpc/hub.js';
import { native } from '../../runtime/native.js';
import type { PodWorker } from '../pods/worker.js';
import { findWorker, type Serve, type StreamDeps } from './serve.js';

const CONNECT_MS = 10_000;

interface PortForwardRequest {
  namespace: string;
  pod: string;
  uid: string;
  port: number;
}

export const servePortForward: Serve = async (stream, request: PortForwardRequest, events, deps) => {
  const input = stream.input(Channel.stdin);
  const worker = findWorker(deps, request);
  const socket = new Socket({ fd: await connectToPod(worker, request.port, deps), allowHalfOpen: true });
  socket.on('error', () => socket.destroy());
  events.closed.signal.addEventListener('abort', () => socket.destroy(), { once: true });
  stream.ready();
  input.pipe(socket);
  const output = stream.output(Channel.stdout);
  socket.pipe(output);
  socket.once('close', () => output.end(() => stream.end()));
};

async function connectToPod(worker: PodWorker, port: number, { runtime }: StreamDeps): Promise<number> {
  const uid = worker.pod.metadata.uid!;
  const sandbox = runtime.sandbox(uid);
  if (!sandbox?.alive)
    throw new StatusError(400, 'BadRequest', `pod ${worker.pod.metadata.name} is not running`);
  const dial = (address: string) =>
    native.connectInNamespace(sandbox.netns, address, port, CONNECT_MS).catch((error: Error) => error);
  const v4 = await dial('127.0.0.1');
  if (typeof v4 === 'number') return v4;
  const v6 = await dial('::1');
  if (typeof v6 === 'number') return v6;
  const refused = (dialled: string, { message }: Error) =>
    `dial ${dialled}:${port}: ${message.toLowerCase()}`;
  const why = `IPv4: ${refused('tcp4 127.0.0.1', v4)} IPv6 ${refused('tcp6 [::1]', v6)}`;
  throw new StatusError(
    500,
    'InternalError',
    `failed to connect to localhost:${port} inside namespace ${JSON.stringify(uid)}, ${why}`,
  );
}
