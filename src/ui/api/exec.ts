/** A command in a container, over a WebSocket: the token goes as a subprotocol, as browsers can't set its headers. */
import { KINDS, pathOf } from './kinds.js';
import { token } from './session.js';

const PROTOCOL = 'v5.channel.k8s.io';
const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const ERROR = 3;
const RESIZE = 4;

export interface Session {
  send(text: string): void;
  resize(columns: number, rows: number): void;
  close(): void;
}

export interface SessionEvents {
  opened(): void;
  output(bytes: Uint8Array): void;
  /** Once, with why it ended. */
  ended(message: string): void;
}

export function openExec(
  pod: { namespace: string; name: string; container: string },
  command: string[],
  events: SessionEvents,
): Session {
  const query = new URLSearchParams({ container: pod.container, stdin: 'true', stdout: 'true', tty: 'true' });
  for (const argument of command) query.append('command', argument);
  const url = new URL(`${pathOf(KINDS.pods, pod.namespace, pod.name, 'exec')}?${query}`, location.href);
  url.protocol = 'wss:';
  const socket = new WebSocket(url, [
    PROTOCOL,
    `base64url.bearer.authorization.k8s.io.${base64url(token.get())}`,
  ]);
  socket.binaryType = 'arraybuffer';
  let open = false;
  let over = false;
  const end = (message: string) => {
    if (over) return;
    over = true;
    events.ended(message);
  };
  socket.onopen = () => {
    open = true;
    events.opened();
  };
  socket.onmessage = ({ data }) => {
    const bytes = new Uint8Array(data as ArrayBuffer);
    const channel = bytes[0];
    if (channel === STDOUT || channel === STDERR) events.output(bytes.subarray(1));
    if (channel === ERROR) end(verdict(new TextDecoder().decode(bytes.subarray(1))));
  };
  socket.onclose = () => end(open ? 'The connection was closed.' : 'refused');
  const write = (channel: number, text: string) => {
    if (socket.readyState !== WebSocket.OPEN) return;
    const bytes = new TextEncoder().encode(text);
    const message = new Uint8Array(bytes.length + 1);
    message[0] = channel;
    message.set(bytes, 1);
    socket.send(message);
  };
  return {
    send: (text) => write(STDIN, text),
    resize: (columns, rows) => write(RESIZE, JSON.stringify({ Width: columns, Height: rows })),
    close: () => socket.close(),
  };
}

function verdict(text: string): string {
  try {
    const { status, message } = JSON.parse(text);
    return status === 'Success' ? 'The shell has ended.' : message;
  } catch {
    return text;
  }
}

const base64url = (text: string): string =>
  btoa(text).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
