/** A request of a connection of HTTP/1.1, and what came of it so far. */
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import type { Answer, Attempt, Sent, Sink, UpstreamResponse } from './attempt.js';
import type { ResponseHead } from './response-head.js';

const NOTHING = Buffer.alloc(0);

export class Http1Exchange extends EventEmitter implements Sent, Sink {
  readonly answered: Promise<Answer>;
  readonly connected: Promise<void> | undefined;
  writableEnded = false;
  readonly #socket: Socket;
  /** As it is written; empty once it was. */
  #requestHead: string;
  readonly #attempt: Attempt;
  #answer!: (answer: Answer) => void;
  #reject!: (error: Error) => void;
  #connect: (() => void) | undefined;
  #refuse: ((error: Error) => void) | undefined;
  #isDone = false;
  /** Bytes of the body. */
  #sent = 0;
  #head: ResponseHead | undefined;
  #pieces: Buffer[] = [];
  #response: UpstreamResponse | undefined;
  #trailers: UpstreamResponse['trailers'] = {};
  #isWhole = false;

  constructor(socket: Socket, requestHead: string, attempt: Attempt, isConnected: boolean) {
    super();
    this.#socket = socket;
    this.#requestHead = requestHead;
    this.#attempt = attempt;
    this.answered = new Promise((resolve, reject) => {
      [this.#answer, this.#reject] = [resolve, reject];
    });
    // Whoever looks at one of the two only must not be told of the other as unhandled.
    this.answered.catch(() => {});
    if (isConnected) return;
    this.connected = new Promise((resolve, reject) => {
      [this.#connect, this.#refuse] = [resolve, reject];
    });
    this.connected.catch(() => {});
  }

  get request(): Sink {
    return this;
  }

  /** The endpoint speaks another protocol from here on. */
  get isUpgraded(): boolean {
    return this.#head?.status === 101;
  }

  get isUpgradeAsked(): boolean {
    return this.#attempt.upgrade !== undefined;
  }

  /** Whether anything came back. */
  get isAnswered(): boolean {
    return this.#head !== undefined;
  }

  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Whether another request may follow. */
  get isKept(): boolean {
    return this.writableEnded && this.#head!.isKept;
  }

  get keepMs(): number {
    return this.#head!.keepMs ?? Number.POSITIVE_INFINITY;
  }

  connect(): void {
    this.#connect?.();
  }

  /** Headers go in one packet with the first piece. */
  write(piece: Buffer): boolean {
    const socket = this.#socket;
    if (this.#isDone || piece.length === 0) return true;
    this.#sent += piece.length;
    const { length } = this.#attempt;
    if (length !== undefined && this.#sent > length) {
      this.destroy(new Error('the body is longer than the client said'));
      return true;
    }
    socket.cork();
    this.#begin();
    if (length === undefined) socket.write(`${piece.length.toString(16)}\r\n`, 'latin1');
    let isFlowing = socket.write(piece);
    if (length === undefined) isFlowing = socket.write('\r\n', 'latin1');
    socket.uncork();
    return isFlowing;
  }

  end(): void {
    if (this.#isDone || this.writableEnded) return;
    const { hasBody, length } = this.#attempt;
    if (hasBody && length !== undefined && this.#sent < length) {
      this.destroy(new Error('the body is shorter than the client said'));
      return;
    }
    this.writableEnded = true;
    this.#begin();
    if (hasBody && length === undefined) this.#socket.write('0\r\n\r\n', 'latin1');
  }

  /** Sends the headers, if they are not sent yet. */
  #begin(): void {
    if (this.#requestHead !== '') this.#socket.write(this.#requestHead, 'latin1');
    this.#requestHead = '';
  }

  destroy(error: Error = new Error('the request was given up')): void {
    if (this.#isDone) return;
    this.fail(error);
    this.#socket.destroy();
  }

  fail(error: Error): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#refuse?.(error);
    this.#reject(error);
    const body = this.#response?.body;
    if (body instanceof Readable) body.destroy(error);
    this.emit('close');
  }

  head(head: ResponseHead): void {
    this.#head = head;
  }

  piece(piece: Buffer): void {
    const body = this.#response?.body;
    if (!(body instanceof Readable)) this.#pieces.push(piece);
    else if (!body.push(piece)) this.#socket.pause();
  }

  ended(trailers: UpstreamResponse['trailers']): void {
    this.#isWhole = true;
    this.#trailers = trailers;
  }

  /** Passes on what has come. */
  tell(): void {
    if (!this.#head || this.#isDone) return;
    if (!this.#response) this.#respond(this.#head);
    if (!this.#isWhole) return;
    const { body } = this.#response!;
    this.#response!.trailers = this.#trailers;
    this.#isDone = true;
    if (body instanceof Readable) body.push(null);
    if (!this.writableEnded) this.emit('close');
  }

  #respond({ status, reason, rawHeaders }: ResponseHead): void {
    const pieces = this.#pieces;
    this.#pieces = [];
    const body = this.#isWhole ? (pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)) : this.#body();
    if (body instanceof Readable) for (const piece of pieces) body.push(piece);
    this.#response = { status, reason, rawHeaders, body, trailers: this.#trailers };
    this.#answer({ response: this.#response });
  }

  #body(): Readable {
    return new Readable({
      read: () => {
        if (!this.#isDone) this.#socket.resume();
      },
      destroy: (error, done) => {
        if (!this.#isDone) this.destroy(error ?? undefined);
        done(error);
      },
    });
  }

  upgrade(head: Buffer): void {
    const { status, reason, rawHeaders } = this.#head!;
    this.#isDone = true;
    const response = { status, reason, rawHeaders, body: NOTHING, trailers: {} };
    const name = rawHeaders.findIndex((text, i) => i % 2 === 0 && text.toLowerCase() === 'upgrade');
    const protocol = name === -1 ? undefined : rawHeaders[name + 1];
    this.#answer({ response, upgraded: { socket: this.#socket, head, protocol } });
  }
}
