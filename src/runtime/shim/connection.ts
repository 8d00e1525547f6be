/** A control connection to a shim: requests with answers, and the exits of its containers. */
import { closeSync, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { RuntimeError } from '../types.js';
import { Tag, Type } from './protocol.js';
import { Fields, FieldWriter, type Frame, FrameReader } from './wire.js';

/** A machine may be slow, and a shim is asked once more before it is given up. */
const SHIM_PATIENCE = 15_000;
/** The longest address of a unix socket. */
const MAX_ADDRESS = 107;

/** What the shim knows of a container. */
export interface ShimContainer {
  id: string;
  ended: boolean;
  pid: number;
  createdAt: number;
  startedAt: number;
  finishedAt: number;
  exitCode: number;
  signal: number;
  oomKilled: boolean;
}

interface Waiting {
  resolve(fields: Fields): void;
  reject(error: Error): void;
}

/** Connects to the socket in a sandbox's state folder. Rejects with the system's error when nobody listens. */
export async function connectShim(folder: string): Promise<Socket> {
  for (let attempt = 0; ; attempt++)
    try {
      return await connectOnce(folder);
    } catch (error) {
      // The shim has more connections to accept than its socket holds.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || attempt >= 100) throw error;
      await sleep(10);
    }
}

function connectOnce(folder: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    let path = `${folder}/sock`;
    let descriptor = -1;
    if (Buffer.byteLength(path) > MAX_ADDRESS) {
      descriptor = openSync(folder, 'r');
      path = `/proc/self/fd/${descriptor}/sock`;
    }
    const socket = connect(path);
    const done = () => {
      if (descriptor >= 0) closeSync(descriptor);
      socket.removeAllListeners();
    };
    socket.once('connect', () => {
      done();
      resolve(socket);
    });
    socket.once('error', (error) => {
      done();
      reject(error);
    });
  });
}

export class ShimConnection {
  #socket: Socket;
  #reader = new FrameReader();
  #waiting = new Map<number, Waiting>();
  #next = 1;
  #closed = false;

  /** `onClose` is called once, unless this side closes. */
  constructor(
    socket: Socket,
    readonly onExit: (container: ShimContainer) => void,
    readonly onClose: () => void,
    /** A shim that answers nothing for so long is given up, as if it had closed the connection. */
    readonly patienceMs = SHIM_PATIENCE,
  ) {
    this.#socket = socket;
    socket.on('data', (chunk) => this.#data(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => this.#end(true));
  }

  /** Rejects with RuntimeError: `Internal` with the shim's words, or `Gone`. */
  request(type: number, fields = new FieldWriter()): Promise<Fields> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(gone());
      const id = this.#next++;
      const timer = setTimeout(() => this.#late(type), this.patienceMs);
      timer.unref();
      const done = () => clearTimeout(timer);
      this.#waiting.set(id, {
        resolve(answer) {
          done();
          resolve(answer);
        },
        reject(error) {
          done();
          reject(error);
        },
      });
      this.#socket.write(fields.frame(type, id));
    });
  }

  /** What takes long may take longer, if only the shim itself answers. */
  #late(type: number): void {
    if (type === Type.hello) this.#socket.destroy();
    else this.request(Type.hello).catch(() => undefined);
  }

  close(): void {
    this.#end(false);
    this.#socket.destroy();
  }

  #end(tell: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const waiting of this.#waiting.values()) waiting.reject(gone());
    this.#waiting.clear();
    if (tell) this.onClose();
  }

  #data(chunk: Buffer): void {
    try {
      for (const frame of this.#reader.push(chunk)) this.#frame(frame);
    } catch {
      this.#socket.destroy();
    }
  }

  #frame({ type, request, payload }: Frame): void {
    const fields = new Fields(payload);
    if (type === Type.exit) {
      this.onExit(readContainer(fields));
      return;
    }
    const waiting = this.#waiting.get(request);
    if (!waiting) return;
    this.#waiting.delete(request);
    if (type === Type.ok) waiting.resolve(fields);
    else waiting.reject(new RuntimeError('Internal', fields.text(Tag.message)));
  }
}

function gone(): RuntimeError {
  return new RuntimeError('Gone', 'the connection to the shim is closed');
}

export function readContainer(fields: Fields): ShimContainer {
  return {
    id: fields.text(Tag.id),
    ended: fields.number(Tag.state) === 2,
    pid: fields.number(Tag.pid),
    createdAt: fields.number(Tag.createdAt),
    startedAt: fields.number(Tag.startedAt),
    finishedAt: fields.number(Tag.finishedAt),
    exitCode: fields.number(Tag.exitCode),
    signal: fields.number(Tag.signal),
    oomKilled: fields.number(Tag.oomKilled) === 1,
  };
}
