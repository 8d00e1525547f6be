/** exec and attach over WebSocket channels: 0 stdin, 1 stdout, 2 stderr, 3 the final status, 4 terminal sizes. */

import type { WebSocket } from 'ws';
import type { Status } from '#types';
import type { OpenedSession } from '../subresources/sessions.js';
import { Channels, type Protocol } from './channels.js';
import { exitStatus, failureStatus } from './session-status.js';

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
      if (channel === RESIZE) resize(session, data);
    },
    closeChannel(channel) {
      if (channel === STDIN) stdin?.end();
    },
    closed() {
      session.close();
    },
  });
  const input = (data: Buffer) => {
    if (!stdin || stdin.writableEnded || stdin.destroyed || data.length === 0) return;
    if (stdin.write(data)) return;
    channels.pause();
    const resume = () => {
      stdin.off('drain', resume);
      stdin.off('close', resume);
      channels.resume();
    };
    stdin.on('drain', resume);
    stdin.on('close', resume);
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
      (error) => failureStatus(error),
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

/** `{"Width":80,"Height":24}` */
function resize(session: OpenedSession['session'], data: Buffer): void {
  try {
    const { Width, Height } = JSON.parse(data.toString());
    if (Number.isInteger(Width) && Number.isInteger(Height) && Width > 0 && Height > 0)
      session.resize(Width, Height);
  } catch {
    // Not a size: nothing to do.
  }
}
