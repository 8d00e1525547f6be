/** An exec or attach over a shim connection of its own; back-pressure passes through its socket. */
import type { Socket } from 'node:net';
import { Readable, Writable } from 'node:stream';
import { RuntimeError, type Session, type SessionOptions } from '../types.js';
import { MAX_DATA, ProcessFlag, Tag, Type } from './protocol.js';
import { Fields, type FieldWriter, type Frame, FrameReader, frameHead } from './wire.js';

/** The wanted streams as bits of `Tag.flags`. A terminal has no stderr of its own. */
export function sessionFlags(options: SessionOptions): number {
  return (
    (options.tty ? ProcessFlag.tty : 0) |
    (options.stdin ? ProcessFlag.stdin : 0) |
    (options.stdout ? ProcessFlag.stdout : 0) |
    (options.stderr && !options.tty ? ProcessFlag.stderr : 0)
  );
}

/**
 * Sends the request and waits until the shim has taken it (of an exec: until the command is executed).
 * Rejects with RuntimeError: `code` and the shim's words, or `Gone`.
 */
export function openSession(
  socket: Socket,
  type: number,
  fields: FieldWriter,
  options: SessionOptions,
): Promise<Session> {
  return new Promise((resolve, reject) => {
    const session = new ShimSession(socket, options, (error) => (error ? reject(error) : resolve(session)));
    socket.write(fields.frame(type, 1));
  });
}

class ShimSession implements Session {
  readonly stdin: Writable | undefined;
  readonly stdout: Readable | undefined;
  readonly stderr: Readable | undefined;
  readonly exited: Promise<{ exitCode: number }>;
  #socket: Socket;
  #reader = new FrameReader();
  #opened: ((error?: Error) => void) | undefined;
  #settle!: { resolve(value: { exitCode: number }): void; reject(error: Error): void };
  #ended = false;
  /** Output streams whose readers are behind. */
  #full = new Set<Readable>();

  constructor(socket: Socket, options: SessionOptions, opened: (error?: Error) => void) {
    this.#socket = socket;
    this.#opened = opened;
    this.exited = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.exited.catch(() => undefined);
    if (options.stdin) this.stdin = this.#input();
    if (options.stdout) this.stdout = this.#output();
    if (options.stderr && !options.tty) this.stderr = this.#output();
    socket.on('data', (chunk) => this.#data(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => this.#closed());
  }

  resize(columns: number, rows: number): void {
    if (this.#ended) return;
    const size = Buffer.alloc(4);
    size.writeUInt16LE(Math.min(columns, 0xffff), 0);
    size.writeUInt16LE(Math.min(rows, 0xffff), 2);
    this.#socket.write(Buffer.concat([frameHead(Type.resize, 0, 4), size]));
  }

  close(): void {
    this.#socket.destroy();
  }

  #input(): Writable {
    return new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        if (this.#ended) return done();
        this.#socket.cork();
        let sent = 0;
        while (sent < chunk.length) {
          const part = chunk.subarray(sent, sent + MAX_DATA);
          sent += part.length;
          this.#socket.write(frameHead(Type.stdin, 0, part.length));
          this.#socket.write(part, sent < chunk.length ? undefined : () => done());
        }
        if (chunk.length === 0) done();
        this.#socket.uncork();
      },
      final: (done) => {
        if (!this.#ended) this.#socket.write(frameHead(Type.stdinEnd, 0, 0));
        done();
      },
    }).on('error', () => undefined);
  }

  #output(): Readable {
    const stream = new Readable({
      read: () => {
        if (this.#full.delete(stream) && this.#full.size === 0) this.#socket.resume();
      },
      destroy: (error, done) => {
        if (this.#full.delete(stream) && this.#full.size === 0) this.#socket.resume();
        done(error);
      },
    });
    return stream;
  }

  #data(chunk: Buffer): void {
    try {
      for (const frame of this.#reader.push(chunk)) this.#frame(frame);
    } catch {
      this.#socket.destroy();
    }
  }

  #frame({ type, payload }: Frame): void {
    if (type === Type.stdout || type === Type.stderr) {
      this.#push(type === Type.stdout ? this.stdout : this.stderr, payload);
      return;
    }
    const fields = new Fields(payload);
    if (type === Type.ok) {
      this.#opened?.();
      this.#opened = undefined;
    } else if (type === Type.error) {
      this.#opened?.(new RuntimeError('StartFailed', fields.text(Tag.message)));
      this.#opened = undefined;
      this.#socket.destroy();
    } else if (type === Type.ended) {
      this.#ended = true;
      this.#settle.resolve({ exitCode: fields.number(Tag.exitCode) });
      this.#endOutput();
      this.#socket.end();
    }
  }

  #push(stream: Readable | undefined, payload: Buffer): void {
    if (!stream || stream.destroyed) return;
    if (stream.push(payload)) return;
    this.#full.add(stream);
    this.#socket.pause();
  }

  #endOutput(): void {
    this.stdout?.push(null);
    this.stderr?.push(null);
    this.stdin?.destroy();
  }

  #closed(): void {
    const error = new RuntimeError('Gone', 'the connection to the shim is closed');
    this.#opened?.(error);
    this.#opened = undefined;
    if (this.#ended) return;
    this.#ended = true;
    this.#settle.reject(error);
    this.#endOutput();
  }
}
