/** exec and attach over SPDY: a stream each for the final status, the standard streams, and terminal sizes. */
import type { Status } from '#types';
import { writeTo } from './back-pressure.js';
import type { OpenedSession } from './session-status.js';
import { exitStatus, failureStatus, resizeSession } from './session-status.js';
import { type Send, SpdyConnection, type SpdyStream } from './spdy.js';

type Streams = Partial<Record<string, SpdyStream>>;

/** The protocols that say what the streams mean, the best first. */
export const SPDY_SESSION_PROTOCOLS = [
  'v4.channel.k8s.io',
  'v3.channel.k8s.io',
  'v2.channel.k8s.io',
  'channel.k8s.io',
];

/** Serves the session once the client has opened every stream that it asked for; `close` ends the connection. */
export function spdySession(
  send: Send,
  opened: OpenedSession,
  protocol: string,
  close: () => void,
): SpdyConnection {
  const { request } = opened;
  const wanted = ['error'];
  for (const name of ['stdin', 'stdout', 'stderr'] as const) if (request[name]) wanted.push(name);
  if (request.tty && /^v[34]/.test(protocol)) wanted.push('resize');
  const streams: Streams = {};
  let running = false;
  return new SpdyConnection(send, {
    opened(stream) {
      streams[stream.headers['streamtype'] ?? ''] = stream;
      if (running || wanted.some((name) => !streams[name])) return;
      running = true;
      void run(streams, opened, protocol).finally(close);
    },
  });
}

async function run(streams: Streams, { request, session }: OpenedSession, protocol: string): Promise<void> {
  const { stdin, stdout, stderr } = session;
  stdin?.on('error', () => undefined);
  streams['stdin']?.receive({
    data: (bytes) => (stdin ? writeTo(stdin, bytes) : undefined),
    end: () => void stdin?.end(),
  });
  streams['resize']?.receive({ data: (bytes) => resizeSession(session, bytes), end() {} });
  const outputs = Promise.all([
    stdout && streams['stdout']?.pump(stdout),
    stderr && streams['stderr']?.pump(stderr),
  ]);
  const status = await session.exited.then(
    ({ exitCode }) => exitStatus(exitCode, request.command),
    (error) => failureStatus(error, request.command),
  );
  await outputs;
  await streams['error']?.write(statusText(status, protocol));
  await Promise.all(Object.values(streams).map((stream) => stream?.finish()));
}

/** Before version 4 only failures are told, as text. */
function statusText(status: Status, protocol: string): Buffer {
  if (protocol.startsWith('v4')) return Buffer.from(JSON.stringify(status));
  return Buffer.from(status.status === 'Success' ? '' : (status.message ?? ''));
}
