/** One attempt to bring a request to one endpoint, whatever protocol the endpoint speaks. */
import type { Duplex, Readable } from 'node:stream';

export const CONNECT_MS = 3000;
export const IDLE_MS = 30_000;

export interface Attempt {
  method: string;
  path: string;
  /** As the client named it; '' when it named none. */
  host: string;
  /** Names and values in turn; nothing that frames the body but Content-Length. */
  headers: string[];
  /** Whether a body is to be written. */
  hasBody: boolean;
  /** Bytes of the body, if the client told. */
  length?: number;
  /** The protocol that is asked for instead of HTTP. */
  upgrade?: string;
  /** By a connection of its own. */
  isAlone?: boolean;
}

/** Why an attempt failed. */
export class UpstreamError extends Error {
  constructor(
    message: string,
    /** `connect`: the endpoint has seen nothing of the request. */
    readonly phase: 'connect' | 'answer',
    readonly timedOut: boolean,
    /** A connection kept from an earlier request ended: that says nothing of the endpoint. */
    readonly isStale = false,
  ) {
    super(message);
  }
}

/** Where a request's body goes. */
export interface Sink {
  /** False: no more until `drain`. */
  write(piece: Buffer): boolean;
  end(): void;
  /** Gives the request up. */
  destroy(error?: Error): void;
  readonly writableEnded: boolean;
  on(event: 'drain' | 'close', listener: () => void): unknown;
}

/** A request under way. */
export interface Sent {
  request: Sink;
  /** Until then nothing should be written that could not be written a second time; absent if it may be at once. */
  connected: Promise<void> | undefined;
  /** When the response's headers are there. Rejects with UpstreamError, or what `destroy` was told. */
  answered: Promise<Answer>;
}

export interface UpstreamResponse {
  status: number;
  reason: string;
  /** Names and values in turn. */
  rawHeaders: string[];
  /** A Buffer if all of it was there with the headers. */
  body: Buffer | Readable;
  /** Complete when the body has ended. */
  trailers: Record<string, string | string[]>;
}

export interface Answer {
  response: UpstreamResponse;
  /** After `101 Switching Protocols`: the connection, and what came on it already. */
  upgraded?: { socket: Duplex; head: Buffer; protocol: string | undefined };
}
