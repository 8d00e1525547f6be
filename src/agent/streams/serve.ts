/** Answers an order of the hub: dials back and serves a log, a command, an attach or a connection. */
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { asStatusError, badRequest, notFound } from '../../api/machinery/status.js';
import { FrameStream } from '../../rpc/frames.js';
import type { Open, StreamCall } from '../../rpc/hub.js';
import type { Runtime } from '../../runtime/types.js';
import type { EndpointDeps } from '../kubelet/answers.js';
import type { PodManager } from '../pods/manager.js';

export interface StreamDeps {
  runtime: Runtime;
  pods: PodManager;
  logger: Logger;
}

export function serveStream(order: Open, dial: () => StreamCall, deps: EndpointDeps): void {
  const call = dial();
  call.on('error', () => {});
  call.write({ open: order.id });
  const kinds: Record<string, () => Promise<Serve>> = {
    logs: async () => (await import('./logs.js')).serveLogs,
    exec: async () => (await import('./sessions.js')).serveExec,
    attach: async () => (await import('./sessions.js')).serveAttach,
    stats: async () => (await import('./stats.js')).serveStats,
    kubelet: async () => (await import('./kubelet.js')).serveKubelet,
    portforward: async () => (await import('./port-forward.js')).servePortForward,
  };
  const events: StreamEvents = { resize: [], closed: new AbortController() };
  const stream = new FrameStream(call as unknown as Duplex, {
    resize: (columns, rows) => {
      for (const listener of events.resize) listener(columns, rows);
    },
    closed: () => events.closed.abort(),
  });
  serve().catch((error) => stream.fail(asStatusError(error)));

  async function serve(): Promise<void> {
    const kind = kinds[order.kind ?? ''];
    if (!kind) throw badRequest(`unknown kind of stream: ${order.kind}`);
    const request = JSON.parse(Buffer.from(order.request ?? []).toString());
    await (await kind())(stream, request, events, deps);
  }
}

/** What comes of a stream besides its channels. */
export interface StreamEvents {
  resize: ((columns: number, rows: number) => void)[];
  /** Aborts when the call is over. */
  closed: AbortController;
}

/** Serves to the end; what it throws goes to the caller as a Status. */
export type Serve = (
  stream: FrameStream,
  request: any,
  events: StreamEvents,
  deps: EndpointDeps,
) => Promise<void>;

/** The run of a container of a pod on this node; StatusError 404 as upstream says it. */
export function findWorker(deps: StreamDeps, request: { uid: string; namespace: string; pod: string }) {
  const worker = deps.pods.get(request.uid);
  if (!worker) throw notFound({ group: '', resource: 'pods' }, request.pod);
  return worker;
}
