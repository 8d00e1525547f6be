/** Serves a container's log over a stream. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { badRequest } from '../../api/machinery/status.js';
import { Channel } from '../../rpc/hub.js';
import type { LogRequest } from '../../rpc/stream-requests.js';
import type { ContainerStatus } from '../../runtime/types.js';
import { writeTo } from '../../streams/back-pressure.js';
import { type LogSource, readLog } from '../logs/reader.js';
import { logDirectory } from '../pods/container-config.js';
import type { PodWorker } from '../pods/worker.js';
import { findWorker, type Serve, type StreamDeps } from './serve.js';

export const serveLogs: Serve = async (stream, request: LogRequest, events, deps) => {
  const worker = findWorker(deps, request);
  const { signal } = events.closed;
  const log = await openLog(worker, request, deps, signal);
  const output = stream.output(Channel.stdout);
  stream.ready();
  for await (const text of log) {
    await writeTo(output, text);
    if (output.destroyed) return;
  }
  output.end(() => stream.exit(0));
};

/** The text of a container's log, as it is asked for. Rejects with StatusError when there is none. */
export async function openLog(
  worker: PodWorker,
  request: LogRequest,
  deps: StreamDeps,
  signal: AbortSignal,
): Promise<AsyncGenerator<Buffer>> {
  const { path, source } = await find(worker, request, deps);
  const options = {
    follow: request.follow && !request.previous,
    timestamps: request.timestamps,
    tailLines: request.tailLines,
    limitBytes: request.limitBytes,
    since: since(request),
    stream: streamName(request.stream),
  };
  return readLog(path, options, source, signal);
}

function since({ sinceSeconds, sinceTime }: LogRequest): number | undefined {
  if (sinceTime) return Date.parse(sinceTime);
  return sinceSeconds === undefined ? undefined : Date.now() - sinceSeconds * 1000;
}

function streamName(stream = 'All'): 'stdout' | 'stderr' | undefined {
  return stream === 'Stdout' ? 'stdout' : stream === 'Stderr' ? 'stderr' : undefined;
}

/** The file of the run that is asked for. Throws as upstream's kubelet answers. */
async function find(
  worker: PodWorker,
  { container, pod, previous }: LogRequest,
  deps: StreamDeps,
): Promise<{ path: string; source: LogSource }> {
  const record = worker.record(container);
  const where = `container ${JSON.stringify(container)} in pod ${JSON.stringify(pod)}`;
  const missing = () =>
    badRequest(
      previous
        ? `previous terminated ${where} not found`
        : `${where} is waiting to start: ${whyWaiting(record?.waiting?.reason)}`,
    );
  const run = previous ? record?.last : record?.latest;
  if (run?.logPath) return { path: run.logPath, source: sourceOf(worker, run, deps) };
  const path = run ? undefined : await onDisk(worker, container, previous);
  if (!path) throw missing();
  return { path, source: { isOver: () => true, onOver: () => () => {} } };
}

function whyWaiting(reason = 'ContainerCreating'): string {
  if (reason === 'ErrImagePull') return "image can't be pulled";
  return reason === 'ImagePullBackOff' ? 'trying and failing to pull image' : reason;
}

/** Runs that the runtime has forgotten still have their files: named by attempt. */
async function onDisk(worker: PodWorker, container: string, previous: boolean): Promise<string | undefined> {
  const dir = join(logDirectory(worker.pod), container);
  const files = (await readdir(dir).catch(() => [])).filter((file) => /^\d+\.log$/.test(file));
  const newest = files.sort((a, b) => Number.parseInt(b, 10) - Number.parseInt(a, 10))[previous ? 1 : 0];
  return newest && join(dir, newest);
}

function sourceOf(worker: PodWorker, { id, name }: ContainerStatus, { runtime }: StreamDeps): LogSource {
  const ended = new Set<string>();
  return {
    isOver: () => {
      const latest = worker.record(name)?.latest;
      return ended.has(id) || latest?.id !== id || latest.state === 'exited';
    },
    onOver: (listener) => {
      const onExit = (status: ContainerStatus) => {
        if (status.id !== id) return;
        ended.add(id);
        listener();
      };
      const onGone = (sandboxId: string) => {
        if (sandboxId !== worker.pod.metadata.uid) return;
        ended.add(id);
        listener();
      };
      runtime.on('exit', onExit);
      runtime.on('gone', onGone);
      return () => {
        runtime.off('exit', onExit);
        runtime.off('gone', onGone);
      };
    },
  };
}
