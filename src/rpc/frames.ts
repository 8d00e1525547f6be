/** Byte streams over one call of frames: channels with back-pressure and half-close, for both of its ends. */
import { type Duplex, Readable, Writable } from 'node:stream';
import { StatusError } from '../api/machinery/status.js';
import { type Failure, type Frame, MAX_CHUNK } from './hub.js';

export interface FrameHandlers {
  /** The peer has begun what was asked for. */
  ready?(): void;
  resize?(columns: number, rows: number): void;
  exit?(code: number): void;
  /** The peer gives up, with a reason. Inputs are destroyed with the same error. */
  failure?(error: StatusError): void;
  /** The call is over, for whatever reason; called once. */
  closed?(): void;
}

/** Owns `call` (an object stream of frames): the channels' readers and writers end with it. */
export class FrameStream {
  readonly #call: Duplex;
  readonly #handlers: FrameHandlers;
  readonly #inputs = new Map<number, Readable>();
  readonly #outputs = new Set<Writable>();
  readonly #full = new Set<number>();
  #closed = false;

  constructor(call: Duplex, handlers: FrameHandlers) {
    this.#call = call;
    this.#handlers = handlers;
    call.on('data', (frame: Frame) => this.#received(frame));
    call.on('error', () => this.#over());
    call.on('end', () => this.#over());
    call.on('close', () => this.#over());
    call.on('cancelled', () => this.#over());
  }

  /** What the peer sends on this channel. Ask for it before the peer can send. */
  input(channel: number): Readable {
    const input = new Readable({
      highWaterMark: 2 * MAX_CHUNK,
      read: () => {
        if (this.#full.delete(channel) && this.#full.size === 0) this.#call.resume();
      },
      destroy: (error, done) => {
        // Nobody reads it any more: drop what still comes, and let the other channels go on.
        this.#inputs.delete(channel);
        if (this.#full.delete(channel) && this.#full.size === 0) this.#call.resume();
        done(error);
      },
    });
    input.on('error', () => {});
    this.#inputs.set(channel, input);
    return input;
  }

  /** What goes to the peer on this channel; ending it is a half-close. */
  output(channel: 0 | 1 | 2): Writable {
    const output: Writable = new Writable({
      highWaterMark: MAX_CHUNK,
      write: (chunk: Buffer, _encoding, done) => this.#sendChunks(channel, chunk, done),
      // What has come while a frame was under way goes in as few frames as can be.
      writev: (parts, done) =>
        this.#sendChunks(channel, Buffer.concat(parts.map(({ chunk }) => chunk)), done),
      final: (done) => this.#send({ close: channel }, () => done()),
    });
    output.on('error', () => {});
    output.once('close', () => this.#outputs.delete(output));
    this.#outputs.add(output);
    return output;
  }

  ready(): void {
    this.#send({ ready: true });
  }

  resize(columns: number, rows: number): void {
    this.#send({ resize: { columns, rows } });
  }

  /** The last frame: what was run has ended. */
  exit(code: number): void {
    this.#send({ exit: { code } });
    this.end();
  }

  fail(error: StatusError): void {
    const failure: Failure = { code: error.code, reason: error.reason, message: error.message };
    this.#send({ failure });
    this.end();
  }

  /** No more frames from this side. */
  end(): void {
    if (!this.#closed && !this.#call.writableEnded) this.#call.end();
  }

  #sendChunks(channel: 0 | 1 | 2, chunk: Buffer, done: (error?: Error | null) => void): void {
    const first = chunk.subarray(0, MAX_CHUNK);
    const rest = chunk.subarray(MAX_CHUNK);
    this.#send({ data: { channel, bytes: first } }, (error) => {
      if (error || rest.length === 0) done(error);
      else this.#sendChunks(channel, rest, done);
    });
  }

  #send(frame: Frame, done: (error?: Error | null) => void = () => {}): void {
    if (this.#closed || this.#call.writableEnded || this.#call.destroyed) done(new Error('stream closed'));
    else this.#call.write(frame, done);
  }

  #received(frame: Frame): void {
    if (frame.data) {
      const channel = frame.data.channel ?? 0;
      const input = this.#inputs.get(channel);
      if (input && !input.push(frame.data.bytes ?? '')) {
        this.#full.add(channel);
        this.#call.pause();
      }
    } else if (frame.close !== undefined && frame.close !== null) {
      this.#endInput(frame.close);
    } else if (frame.ready) {
      this.#handlers.ready?.();
    } else if (frame.resize) {
      this.#handlers.resize?.(frame.resize.columns ?? 0, frame.resize.rows ?? 0);
    } else if (frame.exit) {
      for (const channel of [...this.#inputs.keys()]) this.#endInput(channel);
      this.#handlers.exit?.(frame.exit.code ?? 0);
    } else if (frame.failure) {
      const { code, reason, message } = frame.failure;
      this.#failed(new StatusError(code || 500, reason ?? '', message ?? ''));
    }
  }

  #endInput(channel: number): void {
    const input = this.#inputs.get(channel);
    this.#inputs.delete(channel);
    input?.push(null);
  }

  #failed(error: StatusError): void {
    for (const input of [...this.#inputs.values()]) input.destroy(error);
    this.#handlers.failure?.(error);
  }

  #over(): void {
    if (this.#closed) return;
    this.#closed = true;
    const lost = new StatusError(503, 'ServiceUnavailable', 'the stream to the node was closed');
    for (const input of [...this.#inputs.values()]) input.destroy(lost);
    for (const output of this.#outputs) output.destroy();
    this.#handlers.closed?.();
  }
}
