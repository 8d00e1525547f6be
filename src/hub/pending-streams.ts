/** Logs, exec, attach and port-forward: ordered from an agent, which then dials a Stream call for each. */
import { randomBytes } from 'node:crypto';
import { Duplex, type Readable } from 'node:stream';
import { json } from 'node:stream/consumers';
import { StatusError, serviceUnavailable } from '../api/machinery/status.js';
import { FrameStream } from '../rpc/frames.js';
import { Channel, type Frame, type StreamKind, type StreamServerCall } from '../rpc/hub.js';
import type { NodeStats } from '../rpc/stats.js';
import type { ExecRequest, ExecSession, LogRequest } from './node-streams.js';

/** How long an agent may take from the order to its first answer. */
const OPEN_TIMEOUT_MS = 30_000;
/** Orders that one node may have open at once, those not yet dialled included. */
const MAX_STREAMS = 512;

export type SendOrder = (id: string, kind: StreamKind, request: object) => boolean;

interface Pending {
  node: string;
  dialled(call: StreamServerCall): void;
  failed(error: StatusError): void;
}

/** What a caller gets: the frames of a call whose agent has said `ready`. */
interface Opened<T> {
  /** Takes the channels of the stream before the first data frame can come. */
  channels(stream: FrameStream): T;
  exit?(code: number): void;
  failure?(error: StatusError): void;
  closed?(): void;
}

export class PendingStreams {
  readonly #pending = new Map<string, Pending>();
  readonly #open = new Map<string, number>();

  /** A call of an agent. The first frame tells which order it answers; others are refused. */
  dialled(node: string, call: StreamServerCall): void {
    call.once('data', (frame: Frame) => {
      call.pause();
      const pending = this.#pending.get(frame.open ?? '');
      if (!pending || pending.node !== node) {
        call.write({ failure: { code: 404, reason: 'NotFound', message: 'no such stream' } });
        call.end();
        return;
      }
      this.#pending.delete(frame.open!);
      pending.dialled(call);
    });
    call.on('error', () => {});
  }

  /** The node is not connected any more: what it has not dialled yet fails. */
  lost(node: string): void {
    for (const [id, pending] of this.#pending)
      if (pending.node === node) {
        this.#pending.delete(id);
        pending.failed(notConnected(node));
      }
  }

  logs(node: string, request: LogRequest, send: SendOrder, signal: AbortSignal): Promise<Readable> {
    return this.#read(node, 'logs', request, send, signal);
  }

  async stats(node: string, send: SendOrder, signal: AbortSignal): Promise<NodeStats> {
    const output = await this.#read(node, 'stats', {}, send, signal);
    return (await json(output)) as NodeStats;
  }

  /** What the agent writes to its standard output. */
  #read(
    node: string,
    kind: 'logs' | 'stats',
    request: object,
    send: SendOrder,
    signal: AbortSignal,
  ): Promise<Readable> {
    let output: Readable;
    return this.#order(node, kind, request, send, signal, {
      channels: (stream) => {
        output = stream.input(Channel.stdout);
        output.once('close', () => stream.end());
        return output;
      },
    });
  }

  run(
    node: string,
    kind: 'exec' | 'attach',
    request: ExecRequest,
    send: SendOrder,
    signal: AbortSignal,
  ): Promise<ExecSession> {
    let settle: { resolve(value: { exitCode: number }): void; reject(error: Error): void };
    const exited = new Promise<{ exitCode: number }>((resolve, reject) => {
      settle = { resolve, reject };
    });
    exited.catch(() => {});
    return this.#order(node, kind, request, send, signal, {
      channels: (stream) => ({
        stdin: request.stdin ? stream.output(Channel.stdin) : undefined,
        stdout: request.stdout ? stream.input(Channel.stdout) : undefined,
        stderr: request.stderr && !request.tty ? stream.input(Channel.stderr) : undefined,
        resize: (columns, rows) => stream.resize(columns, rows),
        exited,
        close: () => stream.end(),
      }),
      exit: (exitCode) => settle.resolve({ exitCode }),
      failure: (error) => settle.reject(error),
      closed: () => settle.reject(serviceUnavailable('the stream to the node was closed')),
    });
  }

  /** Bytes both ways. */
  connect(
    node: string,
    kind: 'portforward' | 'kubelet',
    request: object,
    send: SendOrder,
    signal: AbortSignal,
  ): Promise<Duplex> {
    return this.#order(node, kind, request, send, signal, {
      channels: (stream) => {
        const writable = stream.output(Channel.stdin);
        const readable = stream.input(Channel.stdout);
        const duplex = Duplex.from({ writable, readable });
        duplex.once('close', () => stream.end());
        // A node that refuses ends it before anybody else listens.
        duplex.on('error', () => {});
        return duplex;
      },
    });
  }

  /** Sends the order; resolves when the agent has dialled and said `ready`. */
  #order<T>(
    node: string,
    kind: StreamKind,
    request: object,
    send: SendOrder,
    signal: AbortSignal,
    opened: Opened<T>,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const open = this.#open.get(node) ?? 0;
      if (signal.aborted) return reject(signal.reason);
      if (open >= MAX_STREAMS) return reject(serviceUnavailable(`too many streams of node ${node}`));
      const id = randomBytes(16).toString('hex');
      let stream: FrameStream | undefined;
      let ended = false;
      const finish = () => {
        if (ended) return;
        ended = true;
        clearTimeout(timer);
        signal.removeEventListener('abort', abort);
        this.#pending.delete(id);
        this.#count(node, -1);
      };
      const fail = (error: unknown) => {
        reject(error);
        if (!stream) finish();
      };
      const abort = () => {
        stream?.end();
        fail(signal.reason);
      };
      const timer = setTimeout(
        () => fail(new StatusError(504, 'Timeout', `node ${node} did not answer in time`)),
        OPEN_TIMEOUT_MS,
      );
      signal.addEventListener('abort', abort, { once: true });
      this.#count(node, 1);
      this.#pending.set(id, {
        node,
        failed: fail,
        dialled: (call) => {
          let result: T;
          stream = new FrameStream(call as unknown as Duplex, {
            ready: () => {
              clearTimeout(timer);
              resolve(result);
            },
            exit: (code) => {
              opened.exit?.(code);
              stream?.end();
            },
            failure: (error) => {
              reject(error);
              opened.failure?.(error);
              stream?.end();
            },
            closed: () => {
              reject(serviceUnavailable('the stream to the node was closed'));
              opened.closed?.();
              finish();
            },
          });
          result = opened.channels(stream);
          call.resume();
        },
      });
      if (!send(id, kind, request)) fail(notConnected(node));
    });
  }

  #count(node: string, change: number): void {
    const count = (this.#open.get(node) ?? 0) + change;
    if (count === 0) this.#open.delete(node);
    else this.#open.set(node, count);
  }
}

export function notConnected(node: string): StatusError {
  return serviceUnavailable(`node ${node} is not connected`);
}
