/** The channel protocols of Kubernetes over WebSocket: each message begins with the number of its stream. */
import type { Readable } from 'node:stream';
import { WebSocket } from 'ws';

/** A second of silence from the client's side of the network is no reason to worry; a minute is. */
const PING_MS = 30_000;

export interface Protocol {
  name: string;
  /** Text messages whose content after the channel's digit is base64. */
  base64: boolean;
  /** 1 for the unversioned ones; from 4 on errors are Status objects, from 5 on streams can be closed. */
  version: number;
}

export const SESSION_PROTOCOLS: Protocol[] = [
  { name: 'v5.channel.k8s.io', base64: false, version: 5 },
  { name: 'v4.channel.k8s.io', base64: false, version: 4 },
  { name: 'v4.base64.channel.k8s.io', base64: true, version: 4 },
  { name: 'channel.k8s.io', base64: false, version: 1 },
  { name: 'base64.channel.k8s.io', base64: true, version: 1 },
  { name: '', base64: false, version: 1 },
];

/** The first that the client asks for and `known` has; undefined if there is none. */
export function chooseProtocol(asked: string[], known: Protocol[]): Protocol | undefined {
  if (asked.length === 0) return known.find((protocol) => protocol.name === '');
  for (const name of asked) {
    const found = known.find((protocol) => protocol.name === name);
    if (found) return found;
  }
  return undefined;
}

/** The message by which a v5 client closes one stream: this byte, then the stream's number. */
const CLOSE_STREAM = 255;

export interface ChannelHandlers {
  data(channel: number, data: Buffer): void;
  /** The client closed this stream (v5). */
  closeChannel(channel: number): void;
  /** The connection ended, from either side. Called once. */
  closed(): void;
}

/** Numbered streams over one socket. Writes resolve when the socket has taken the message, which is the back-pressure. */
export class Channels {
  readonly #socket: WebSocket;
  readonly #protocol: Protocol;
  readonly #ping: NodeJS.Timeout;
  #alive = true;

  constructor(socket: WebSocket, protocol: Protocol, handlers: ChannelHandlers) {
    this.#socket = socket;
    this.#protocol = protocol;
    socket.on('message', (message: Buffer, binary: boolean) => this.#receive(message, binary, handlers));
    socket.on('pong', () => {
      this.#alive = true;
    });
    socket.on('error', () => socket.terminate());
    this.#ping = setInterval(() => this.#check(), PING_MS);
    this.#ping.unref();
    socket.once('close', () => {
      clearInterval(this.#ping);
      handlers.closed();
    });
  }

  get open(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /** Resolves also when the socket is gone: its `closed` tells. */
  write(channel: number, data: Buffer): Promise<void> {
    if (!this.open) return Promise.resolve();
    const message = this.#protocol.base64
      ? `${channel}${data.toString('base64')}`
      : Buffer.concat([Buffer.of(channel), data]);
    return new Promise((resolve) => this.#socket.send(message, () => resolve()));
  }

  /** Stops reading from the client, as its messages can't be taken now. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Sends what `stream` gives until it ends. */
  async pump(channel: number, stream: Readable): Promise<void> {
    try {
      for await (const chunk of stream) {
        await this.write(channel, chunk);
        if (!this.open) break;
      }
    } catch {
      // How the session ended is told by its status.
    }
  }

  close(code = 1000): void {
    this.#socket.close(code);
    // A client that never answers the closing handshake is cut off.
    setTimeout(() => this.#socket.terminate(), 5000).unref();
  }

  #check(): void {
    if (!this.#alive) this.#socket.terminate();
    else this.#socket.ping();
    this.#alive = false;
  }

  #receive(message: Buffer, binary: boolean, handlers: ChannelHandlers): void {
    if (message.length === 0) return;
    const channel = this.#protocol.base64 && !binary ? message[0]! - 48 : message[0]!;
    const rest = message.subarray(1);
    if (channel === CLOSE_STREAM && this.#protocol.version >= 5) {
      if (rest.length === 1) handlers.closeChannel(rest[0]!);
      return;
    }
    handlers.data(channel, this.#protocol.base64 && !binary ? Buffer.from(rest.toString(), 'base64') : rest);
  }
}
