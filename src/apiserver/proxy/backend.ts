/** Where a request is passed on to, and the connection there. */
import { type ClientRequest, type IncomingMessage, request as startRequest } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { asStatusError, StatusError, serviceUnavailable } from '../../api/machinery/status.js';
import { describeFailure } from './failures.js';

export interface Backend {
  scheme: 'http' | 'https';
  /** `host:port`: what links of the answer may name. */
  host: string;
  /** Opens a connection of its own for each request. */
  connect(signal: AbortSignal): Promise<Duplex>;
  /** Of https; any certificate is good when absent. */
  tls?: ConnectionOptions;
}

export interface Outgoing {
  method: string;
  /** With the query. */
  path: string;
  headers: Record<string, string | string[]>;
}

/** Opens the connection and begins the request. Rejects with 503 where there is none. */
export async function open(
  backend: Backend,
  outgoing: Outgoing,
  signal: AbortSignal,
): Promise<ClientRequest> {
  const plain = await backend.connect(signal).catch((error) => {
    throw unreachable(error);
  });
  const socket = backend.scheme === 'https' ? await secure(plain, backend, signal) : plain;
  const end = () => socket.destroy();
  signal.addEventListener('abort', end, { once: true });
  socket.once('close', () => signal.removeEventListener('abort', end));
  if (signal.aborted) socket.destroy();
  return startRequest({
    createConnection: () => socket as any,
    ...outgoing,
    // The header says it where the request has one.
    setHost: false,
    setDefaultHeaders: false,
  } as object);
}

/** As long as Go's http.DefaultTransport waits. */
const HANDSHAKE_MS = 10_000;

function secure(
  plain: Duplex,
  { host, tls = { rejectUnauthorized: false } }: Backend,
  signal: AbortSignal,
): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ ...tls, socket: plain, ALPNProtocols: ['http/1.1'] });
    const settled = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      socket.off('error', failed);
      socket.on('error', () => plain.destroy());
    };
    const failed = (error: Error) => {
      settled();
      plain.destroy();
      reject(unreachable(new Error(describeFailure(error, new URL(`https://${host}`)))));
    };
    const abort = () => failed(new Error('context canceled'));
    const timer = setTimeout(() => failed(new Error('net/http: TLS handshake timeout')), HANDSHAKE_MS);
    signal.addEventListener('abort', abort, { once: true });
    socket.once('error', failed);
    socket.once('secureConnect', () => {
      settled();
      resolve(socket);
    });
    if (signal.aborted) abort();
  });
}

/** Upstream's wording, whatever was in the way. */
export function unreachable(error: unknown): StatusError {
  const status = asStatusError(error);
  const message =
    error instanceof StatusError ? status.message : ((error as Error)?.message ?? String(error));
  return serviceUnavailable(`error trying to reach service: ${message}`);
}

/** The head of the answer. Rejects with 503. */
export function answerTo(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('response', resolve);
    request.once('error', (error) => reject(unreachable(error)));
  });
}
