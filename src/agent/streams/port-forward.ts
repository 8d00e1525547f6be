/** Port-forward: a TCP connection to a port of the pod's own loopback address, as upstream's runtimes make it. */
import { connect, isIPv6, Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { StatusError } from '../../api/machinery/status.js';
import type { FrameStream } from '../../rpc/frames.js';
import { Channel } from '../../rpc/hub.js';
import type { PortForwardRequest } from '../../rpc/stream-requests.js';
import { native } from '../../runtime/native.js';
import type { PodWorker } from '../pods/worker.js';
import { findWorker, type Serve, type StreamDeps, type StreamEvents } from './serve.js';

const CONNECT_MS = 10_000;

export const servePortForward: Serve = async (stream, request: PortForwardRequest, events, deps) => {
  const input = stream.input(Channel.stdin);
  const worker = findWorker(deps, request);
  carry(stream, input, await connectToPod(worker, request, deps), events);
};

/** A connection to a port of the node's own network. */
export async function serveNodePort(stream: FrameStream, port: number, events: StreamEvents): Promise<void> {
  const input = stream.input(Channel.stdin);
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', (error) =>
      reject(new StatusError(503, 'ServiceUnavailable', `dial tcp 127.0.0.1:${port}: ${error.message}`)),
    );
  });
  carry(stream, input, socket, events);
}

function carry(stream: FrameStream, input: Readable, socket: Socket, events: StreamEvents): void {
  socket.on('error', () => socket.destroy());
  events.closed.signal.addEventListener('abort', () => socket.destroy(), { once: true });
  stream.ready();
  input.pipe(socket);
  const output = stream.output(Channel.stdout);
  socket.pipe(output);
  socket.once('close', () => output.end(() => stream.end()));
}

async function connectToPod(
  worker: PodWorker,
  { port, address }: PortForwardRequest,
  { runtime }: StreamDeps,
): Promise<Socket> {
  const uid = worker.pod.metadata.uid!;
  const sandbox = runtime.sandbox(uid);
  if (!sandbox?.alive)
    throw new StatusError(400, 'BadRequest', `pod ${worker.pod.metadata.name} is not running`);
  const failures: string[] = [];
  for (const target of address ? [address] : ['127.0.0.1', '::1']) {
    const dialled = await native
      .connectInNamespace(sandbox.netns, target, port, CONNECT_MS)
      .catch((error: Error) => error);
    if (typeof dialled === 'number') return new Socket({ fd: dialled, allowHalfOpen: true });
    failures.push(dialled.message.toLowerCase());
  }
  if (address)
    throw new StatusError(
      503,
      'ServiceUnavailable',
      `dial tcp ${isIPv6(address) ? `[${address}]` : address}:${port}: connect: ${failures[0]}`,
    );
  const why = `IPv4: dial tcp4 127.0.0.1:${port}: ${failures[0]} IPv6 dial tcp6 [::1]:${port}: ${failures[1]}`;
  throw new StatusError(
    500,
    'InternalError',
    `failed to connect to localhost:${port} inside namespace ${JSON.stringify(uid)}, ${why}`,
  );
}
