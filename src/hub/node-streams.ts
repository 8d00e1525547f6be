/** What the API server asks of a node while a client waits: logs, exec, attach, connections, stats. */
import type { Duplex, Readable, Writable } from 'node:stream';
import type { NodeStats } from '../rpc/stats.js';
import type { ExecRequest, KubeletRequest, LogRequest, PortForwardRequest } from '../rpc/stream-requests.js';

export type { ExecRequest, KubeletRequest, LogRequest, PortForwardRequest } from '../rpc/stream-requests.js';

/** An open exec or attach. Streams that were not asked for are undefined. Back-pressure is the streams' own. */
export interface ExecSession {
  stdin: Writable | undefined;
  stdout: Readable | undefined;
  stderr: Readable | undefined;
  resize(columns: number, rows: number): void;
  /** Resolves once the process ended and the output streams have ended; rejects with StatusError. */
  exited: Promise<{ exitCode: number }>;
  /** Gives up: the process (of an exec) is killed. */
  close(): void;
}

export interface NodeStreams {
  /** Rejects with StatusError: 404/400 as upstream's kubelet says, 503 when the node is not connected. */
  logs(node: string, request: LogRequest, signal: AbortSignal): Promise<Readable>;
  exec(node: string, request: ExecRequest, signal: AbortSignal): Promise<ExecSession>;
  attach(node: string, request: ExecRequest, signal: AbortSignal): Promise<ExecSession>;
  portForward(node: string, request: PortForwardRequest, signal: AbortSignal): Promise<Duplex>;
  /** A connection that speaks HTTP with the agent (as a kubelet's port does), or leads to a port of the node. */
  kubelet(node: string, request: KubeletRequest, signal: AbortSignal): Promise<Duplex>;
  /** The counters of the node and its containers as they are now. */
  stats(node: string, signal: AbortSignal): Promise<NodeStats>;
}
