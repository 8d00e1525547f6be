/**
 * The server's side of SPDY/3.1 as far as Kubernetes clients use it: streams that the client opens, without
 * windows. Runs over a socket or inside a WebSocket (KEP-4006).
 */
import type { Readable } from 'node:stream';
import { HeaderReader, HeaderWriter } from './spdy-headers.js';

const SYN_STREAM = 1;
const SYN_REPLY = 2;
const RST_STREAM = 3;
const PING = 6;
const GOAWAY = 7;
const FIN = 1;
const MAX_FRAME_BYTES = 16 * 1024 * 1024;
const MAX_STREAMS = 1000;

export interface SpdyHandlers {
  /** A stream that the client opened. */
  opened(stream: SpdyStream): void;
}

/** Sends bytes to the client; resolves when they are taken. */
export type Send = (bytes: Buffer) => Promise<void>;

/** What a stream gives to whoever serves it. */
export interface SpdyReceiver {
  /** Reading, of this and all streams, waits for its promise. */
  data(bytes: Buffer): void | Promise<void>;
  /** The client sends no more; `gone` tells whether the stream broke off. */
  end(gone: boolean): void;
}

/** What may come in before anybody serves a stream. */
const MAX_EARLY_BYTES = 1024 * 1024;

export class SpdyStream {
  /** Whether a reset or the connection's end took it away. */
  gone = false;
  #ended = false;
  readonly #connection: SpdyConnection;
  #receiver: SpdyReceiver | undefined;
  #early: Buffer[] = [];
  #earlyBytes = 0;
  #inputEnded = false;

  constructor(
    connection: SpdyConnection,
    readonly id: number,
    readonly headers: Record<string, string>,
  ) {
    this.#connection = connection;
  }

  /** Begins to serve the stream; what came before is handed over. */
  receive(receiver: SpdyReceiver): void {
    this.#receiver = receiver;
    for (const bytes of this.#early.splice(0)) void receiver.data(bytes);
    if (this.#inputEnded) receiver.end(this.gone);
  }

  /** Called by the connection. Rejects where the client sends too much too early. */
  async input(bytes: Buffer): Promise<void> {
    if (this.#receiver) return this.#receiver.data(bytes);
    this.#earlyBytes += bytes.length;
    if (this.#earlyBytes > MAX_EARLY_BYTES) throw new Error('SPDY stream is not served yet');
    this.#early.push(bytes);
  }

  /** Called by the connection. */
  inputEnd(gone: boolean): void {
    if (gone) this.gone = true;
    if (this.#inputEnded && !gone) return;
    this.#inputEnded = true;
    this.#receiver?.end(this.gone);
  }

  /** Resolves when the connection has taken the bytes; does nothing once the stream is over. */
  async write(bytes: Buffer): Promise<void> {
    if (!this.gone && !this.#ended && bytes.length > 0) await this.#connection.sendData(this.id, bytes, 0);
  }

  /** Tells the client that no more comes. */
  async finish(): Promise<void> {
    if (this.gone || this.#ended) return;
    this.#ended = true;
    await this.#connection.sendData(this.id, Buffer.alloc(0), FIN);
  }

  /** Sends what `source` gives until it ends, fails or the stream is gone. */
  async pump(source: Readable): Promise<void> {
    try {
      for await (const chunk of source) {
        await this.write(chunk);
        if (this.gone) break;
      }
    } catch {
      // The other end broke: what came of it is told elsewhere.
    }
  }
}

export class SpdyConnection {
  readonly #send: Send;
  readonly #handlers: SpdyHandlers;
  readonly #reader = new HeaderReader();
  readonly #writer = new HeaderWriter();
  readonly #streams = new Map<number, SpdyStream>();
  #buffered: Buffer = Buffer.alloc(0);

  constructor(send: Send, handlers: SpdyHandlers) {
    this.#send = send;
    this.#handlers = handlers;
  }

  /** Takes bytes from the client; call again only when it has resolved. Rejects when the client breaks the protocol. */
  async receive(bytes: Buffer): Promise<void> {
    this.#buffered = this.#buffered.length === 0 ? bytes : Buffer.concat([this.#buffered, bytes]);
    while (this.#buffered.length >= 8) {
      const length = this.#buffered.readUIntBE(5, 3);
      if (length > MAX_FRAME_BYTES) throw new Error('SPDY frame too large');
      if (this.#buffered.length < 8 + length) return;
      const frame = this.#buffered.subarray(0, 8 + length);
      this.#buffered = this.#buffered.subarray(8 + length);
      await this.#frame(frame);
    }
  }

  sendData(id: number, bytes: Buffer, flags: number): Promise<void> {
    return this.#send(Buffer.concat([header(id, flags, bytes.length), bytes]));
  }

  /** Ends all streams; nothing is sent any more. */
  close(): void {
    for (const stream of this.#streams.values()) this.#drop(stream);
    this.#reader.close();
    this.#writer.close();
  }

  async #frame(frame: Buffer): Promise<void> {
    const flags = frame[4]!;
    const payload = frame.subarray(8);
    if ((frame[0]! & 0x80) === 0) return this.#data(frame.readUInt32BE(0), flags, payload);
    switch (frame.readUInt16BE(2)) {
      case SYN_STREAM:
        return this.#open(flags, payload);
      case RST_STREAM: {
        const stream = this.#streams.get(payload.readUInt32BE(0) & 0x7fffffff);
        if (stream) this.#drop(stream);
        return;
      }
      case PING:
        return this.#send(Buffer.from(frame));
      case GOAWAY:
        return;
    }
  }

  async #open(flags: number, payload: Buffer): Promise<void> {
    const id = payload.readUInt32BE(0) & 0x7fffffff;
    const headers = await this.#reader.read(payload.subarray(10));
    if (this.#streams.size >= MAX_STREAMS) throw new Error('too many SPDY streams');
    const stream = new SpdyStream(this, id, headers);
    this.#streams.set(id, stream);
    const block = await this.#writer.empty();
    const body = Buffer.alloc(4);
    body.writeUInt32BE(id);
    await this.#send(Buffer.concat([control(SYN_REPLY, 4 + block.length), body, block]));
    this.#handlers.opened(stream);
    if (flags & FIN) stream.inputEnd(false);
  }

  async #data(id: number, flags: number, payload: Buffer): Promise<void> {
    const stream = this.#streams.get(id);
    if (!stream) return;
    if (payload.length > 0) await stream.input(Buffer.from(payload));
    if (flags & FIN) stream.inputEnd(false);
  }

  #drop(stream: SpdyStream): void {
    this.#streams.delete(stream.id);
    stream.inputEnd(true);
  }

  /** Forgets a stream that both sides have ended. */
  forget(stream: SpdyStream): void {
    this.#streams.delete(stream.id);
    stream.gone = true;
  }
}

function header(id: number, flags: number, length: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32BE(id);
  bytes.writeUInt32BE(length, 4);
  bytes[4] = flags;
  return bytes;
}

function control(type: number, length: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16BE(0x8003);
  bytes.writeUInt16BE(type, 2);
  bytes.writeUIntBE(length, 5, 3);
  return bytes;
}
