/** exec and attach over WebSocket channels: 0 stdin, 1 stdout, 2 stderr, 3 the final status, 4 terminal sizes. */

import type { WebSocket } from 'ws';
import type { Status } from '#types';
import { writeTo } from './back-pressure.js';
import { Channels, type Protocol } from './channels.js';
import type { OpenedSession } from './session-status.js';
import { exitStatus, failureStatus, resizeSession } from './session-status.js';

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const ERROR = 3;
const RESIZE = 4;

/** Carries the session until it or the client ends. Never rejects. */
export async function serveSession(
  socket: WebSocket,
  protocol: Protocol,
  { request, session }: OpenedSession,
  closing: AbortSignal,
): Promise<void> {
  const { stdin, stdout, stderr } = session;
  stdin?.on('error', () => undefined);
  const channels = new Channels(socket, protocol, {
    data(channel, data) {
      if (channel === STDIN) input(data);
      if (channel === RESIZE) resizeSession(session, data);
    },
    closeChannel(channel) {
      if (channel === STDIN) stdin?.end();
    },
    closed() {
      session.close();
    },
  });
  const input = (data: Buffer) => {
    const full = stdin && writeTo(stdin, data);
    if (!full) return;
    channels.pause();
    void full.then(() => channels.resume());
  };
  const end = () => channels.close(1001);
  closing.addEventListener('abort', end, { once: true });
  try {
    // An empty message tells the client that the session stands.
    await channels.write(request.stdout ? STDOUT : request.stderr ? STDERR : ERROR, Buffer.alloc(0));
    const outputs = Promise.all([
      stdout && channels.pump(STDOUT, stdout),
      stderr && channels.pump(STDERR, stderr),
    ]);
    const status = await session.exited.then(
      ({ exitCode }) => exitStatus(exitCode, request.command),
      (error) => failureStatus(error, request.command),
    );
    await outputs;
    await channels.write(ERROR, statusMessage(status, protocol));
    channels.close();
  } finally {
    closing.removeEventListener('abort', end);
    if (stdin && !stdin.destroyed) stdin.destroy();
  }
}

/** Before version 4 only failures are told, as text. */
function statusMessage(status: Status, { version }: Protocol): Buffer {
  if (version >= 4) return Buffer.from(JSON.stringify(status));
  return Buffer.from(status.status === 'Success' ? '' : (status.message ?? ''));
}
