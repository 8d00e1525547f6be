/** exec and attach: a session of the runtime, carried over a stream. */
import { badRequest, StatusError } from '../../api/machinery/status.js';
import type { FrameStream } from '../../rpc/frames.js';
import { Channel } from '../../rpc/hub.js';
import type { ExecRequest } from '../../rpc/stream-requests.js';
import type { Session } from '../../runtime/types.js';
import { findWorker, type Serve, type StreamDeps, type StreamEvents } from './serve.js';

const options = ({ stdin, stdout, stderr, tty }: ExecRequest) => ({
  stdin,
  stdout,
  stderr: stderr && !tty,
  tty,
});

export const serveExec: Serve = async (stream, request: ExecRequest, events, deps) => {
  const input = request.stdin ? stream.input(Channel.stdin) : undefined;
  const container = runningContainer(deps, request);
  const session = await deps.runtime
    .exec(container, request.command, options(request))
    .catch((error) => tellOverStream(stream, error));
  stream.exit(await carry(stream, session, input, events));
};

export const serveAttach: Serve = async (stream, request: ExecRequest, events, deps) => {
  const input = request.stdin ? stream.input(Channel.stdin) : undefined;
  const session = await deps.runtime.attach(runningContainer(deps, request), options(request));
  await carry(stream, session, input, events);
  // How the container ended is in the pod's status: an attachment has no exit code of its own.
  stream.exit(0);
};

/** A command that can't be started is told over the stream, not as a refusal to open it. */
function tellOverStream(stream: FrameStream, error: unknown): never {
  stream.ready();
  throw new StatusError(500, 'InternalError', (error as Error).message);
}

function runningContainer(deps: StreamDeps, request: ExecRequest): string {
  const worker = findWorker(deps, request);
  const run = worker.record(request.container)?.latest;
  if (run?.state !== 'running')
    throw badRequest(`container not found (${JSON.stringify(request.container)})`);
  return run.id;
}

/** Resolves with the exit code once all output is handed on. */
async function carry(
  stream: FrameStream,
  session: Session,
  input: NodeJS.ReadableStream | undefined,
  events: StreamEvents,
): Promise<number> {
  events.resize.push((columns, rows) => session.resize(columns, rows));
  events.closed.signal.addEventListener('abort', () => session.close(), { once: true });
  if (events.closed.signal.aborted) session.close();
  else stream.ready();
  if (input && session.stdin) {
    session.stdin.on('error', () => {});
    input.pipe(session.stdin);
  }
  const outputs = [
    session.stdout && drain(session.stdout, stream.output(Channel.stdout)),
    session.stderr && drain(session.stderr, stream.output(Channel.stderr)),
  ];
  const { exitCode } = await session.exited;
  await Promise.all(outputs);
  return exitCode;
}

/** Resolves when all has been handed on, or nobody takes it any more. */
function drain(from: NodeJS.ReadableStream, to: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve) => {
    from.on('error', () => to.end());
    to.on('finish', resolve);
    to.on('close', resolve);
    from.pipe(to);
  });
}
