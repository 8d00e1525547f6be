/** A connection of HTTP/1.1 to an endpoint: one request at a time, and its response. */
import net from 'node:net';
import tls from 'node:tls';
import { type Attempt, CONNECT_MS, IDLE_MS, type Sent, UpstreamError } from './attempt.js';
import type { Endpoint } from './backends.js';
import { Http1Exchange } from './http1-exchange.js';
import { ResponseError } from './response-head.js';
import { ResponseParser } from './response-parser.js';

/** How much sooner than the endpoint an idle connection is closed here, so that no request meets its end. */
const KEEP_MARGIN_MS = 1000;

export interface ConnectionOptions {
  endpoint: Endpoint;
  /** The name asked for in the handshake, '' for none; plain text when absent. */
  tlsName?: string | undefined;
  /** It may take another request. */
  free(connection: Connection): void;
  gone(connection: Connection): void;
}

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #socket: net.Socket;
  readonly #parser: ResponseParser;
  readonly #connecting: NodeJS.Timeout;
  readonly #onData = (bytes: Buffer) => this.#read(bytes);
  #isConnected = false;
  #isHanded = false;
  /** Whether the request is not its first. */
  #isReused = false;
  #current: Http1Exchange | undefined;
  #error: Error | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { host, port } = options.endpoint;
    const { tlsName } = options;
    // As a backend's name is its address, nothing could be verified.
    const socket =
      tlsName === undefined
        ? net.connect({ host, port })
        : tls.connect({ host, port, servername: tlsName, rejectUnauthorized: false });
    this.#socket = socket.setNoDelay(true);
    this.#connecting = setTimeout(() => {
      this.#error = new UpstreamError(`no connection within ${CONNECT_MS} ms`, 'connect', true);
      socket.destroy();
    }, CONNECT_MS);
    this.#parser = new ResponseParser({
      head: (head) => this.#current!.head(head),
      body: (piece) => this.#current!.piece(piece),
      end: (trailers) => this.#current!.ended(trailers),
    });
    socket
      .on(tlsName === undefined ? 'connect' : 'secureConnect', () => {
        clearTimeout(this.#connecting);
        this.#isConnected = true;
        this.#current?.connect();
      })
      .on('data', this.#onData)
      .on('drain', () => this.#current?.emit('drain'))
      .on('end', () => !this.#isHanded && socket.destroy())
      .on('timeout', () => !this.#current && !this.#isHanded && socket.destroy())
      .on('error', (error) => {
        this.#error ??= error;
      })
      .on('close', () => this.#closed());
  }

  get isOpen(): boolean {
    return this.#socket.writable && !this.#socket.readableEnded;
  }

  /** `head` is the attempt's, as it is written. */
  send(attempt: Attempt, head: string): Sent {
    this.#socket.ref();
    this.#parser.expect(attempt.method);
    this.#current = new Http1Exchange(this.#socket, head, attempt, this.#isConnected);
    return this.#current;
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    const current = this.#current;
    try {
      // Without a request nobody has asked for it.
      if (current) this.#answered(current, this.#parser.read(bytes));
      else this.close();
    } catch (error) {
      current?.destroy(new UpstreamError((error as Error).message, 'answer', false));
    }
  }

  /** Some of the answer is there, or all of it, and what came after it. */
  #answered(current: Http1Exchange, rest: Buffer): void {
    if (current.isUpgraded) {
      this.#hand(current, rest);
      return;
    }
    current.tell();
    if (!current.isWhole) return;
    this.#current = undefined;
    this.#isReused = true;
    if (rest.length > 0 || !current.isKept || !this.isOpen) {
      this.close();
      return;
    }
    this.#socket.resume();
    this.#idleIn(Math.min(IDLE_MS, Math.max(1, current.keepMs - KEEP_MARGIN_MS)));
    this.#socket.unref();
    this.#options.free(this);
  }

  /** Counts from the last byte; of no account while there is a request. */
  #idleIn(ms: number): void {
    if (this.#socket.timeout !== ms) this.#socket.setTimeout(ms);
  }

  /** What comes now is no more HTTP. @throws ResponseError */
  #hand(current: Http1Exchange, head: Buffer): void {
    if (!current.isUpgradeAsked) throw new ResponseError('the endpoint changed protocols unasked');
    this.#current = undefined;
    this.#isHanded = true;
    this.#socket.off('data', this.#onData).pause();
    current.upgrade(head);
  }

  #closed(): void {
    clearTimeout(this.#connecting);
    this.#options.gone(this);
    const error = this.#error;
    const isWhole = !error && this.#parser.close();
    const current = this.#current;
    this.#current = undefined;
    if (isWhole) current?.tell();
    const why = error?.message ?? 'the endpoint closed the connection';
    const phase = this.#isConnected ? 'answer' : 'connect';
    const isStale = this.#isReused && current?.isAnswered === false;
    current?.fail(error instanceof UpstreamError ? error : new UpstreamError(why, phase, false, isStale));
  }
}
