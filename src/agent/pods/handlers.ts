/** What hooks and probes do: a command in the container, an HTTP request, a connection, a pause. */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import type { Readable } from 'node:stream';
import type { Container, ExecAction, HTTPGetAction, TCPSocketAction } from '#types';
import type { Runtime } from '../../runtime/types.js';

/** `output` is what upstream shows in events: of a command its output, of a request its status. */
export interface Outcome {
  ok: boolean;
  output: string;
}

export interface HandlerTarget {
  runtime: Runtime;
  container: Container;
  /** The container's id. */
  id: string;
  podIP: string;
}

const MAX_OUTPUT = 10 << 10;

/** Runs a command; it is killed when the signal aborts. */
export async function execHandler(
  { runtime, id }: HandlerTarget,
  { command = [] }: ExecAction,
  signal: AbortSignal,
): Promise<Outcome & { timedOut: boolean }> {
  const session = await runtime.exec(id, command, { stdin: false, stdout: true, stderr: true, tty: false });
  const abort = () => session.close();
  signal.addEventListener('abort', abort, { once: true });
  const output = Promise.all([collect(session.stdout), collect(session.stderr)]);
  try {
    const { exitCode } = await Promise.race([session.exited, aborted(signal)]);
    return { ok: exitCode === 0, output: (await output).join(''), timedOut: false };
  } catch (error) {
    if (signal.aborted) return { ok: false, output: '', timedOut: true };
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

async function collect(stream: Readable | undefined): Promise<string> {
  if (!stream) return '';
  let text = '';
  stream.on('error', () => {});
  for await (const chunk of stream) if (text.length < MAX_OUTPUT) text += chunk;
  return text.slice(0, MAX_OUTPUT);
}

/** A port by number, or by its name in the container. */
export function portNumber(container: Container, port: number | string): number {
  if (typeof port === 'number') return port;
  const named = container.ports?.find((p) => p.name === port)?.containerPort;
  const number = named ?? Number(port);
  if (!Number.isInteger(number)) throw new Error(`couldn't find port: ${JSON.stringify(port)}`);
  return number;
}

/** A GET; statuses from 200 to 399 are good. Certificates are not judged. */
export function httpHandler(
  { container, podIP }: HandlerTarget,
  action: HTTPGetAction,
  userAgent: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const scheme = (action.scheme ?? 'HTTP').toLowerCase();
  const port = portNumber(container, action.port);
  const host = action.host || podIP;
  const path = action.path?.startsWith('/') ? action.path : `/${action.path ?? ''}`;
  const headers: Record<string, string> = { 'user-agent': userAgent, accept: '*/*', connection: 'close' };
  for (const { name, value } of action.httpHeaders ?? []) headers[name.toLowerCase()] = value ?? '';
  const url = `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}${path}`;
  const make = scheme === 'https' ? httpsRequest : httpRequest;
  return new Promise((resolve) => {
    const fail = (error: Error) => {
      const why = signal.aborted
        ? 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        : goNetError(error);
      resolve({ ok: false, output: `Get ${JSON.stringify(url)}: ${why}` });
    };
    const options = { host, port, path, headers, agent: false, signal, rejectUnauthorized: false };
    const request = make(options, (response) => {
      response.destroy();
      const status = response.statusCode ?? 0;
      const ok = status >= 200 && status < 400;
      resolve({ ok, output: ok ? '' : `HTTP probe failed with statuscode: ${status}` });
    });
    request.on('error', fail);
    request.end();
  });
}

export function tcpHandler(
  { container, podIP }: HandlerTarget,
  action: TCPSocketAction,
  signal: AbortSignal,
): Promise<Outcome> {
  const host = action.host || podIP;
  const port = portNumber(container, action.port);
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const abort = () => socket.destroy(new Error('aborted'));
    signal.addEventListener('abort', abort, { once: true });
    socket.on('close', () => signal.removeEventListener('abort', abort));
    socket.once('connect', () => {
      socket.destroy();
      resolve({ ok: true, output: '' });
    });
    socket.once('error', (error) => {
      const why = signal.aborted ? 'i/o timeout' : goNetError(error);
      resolve({ ok: false, output: `dial tcp ${host}:${port}: ${why.replace(/^dial tcp \S+: /, '')}` });
    });
  });
}

/** A socket's error in the words of Go's net package, that people look for in events. */
function goNetError(error: Error): string {
  const { code, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  const words: Record<string, string> = {
    ECONNREFUSED: 'connect: connection refused',
    EHOSTUNREACH: 'connect: no route to host',
    ENETUNREACH: 'connect: network is unreachable',
    ECONNRESET: 'read: connection reset by peer',
  };
  const text = words[code ?? ''];
  if (!text) return error.message;
  return address ? `dial tcp ${address}:${port}: ${text}` : text;
}
