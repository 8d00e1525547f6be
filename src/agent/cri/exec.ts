/** Commands in containers, attaching to them, and connections to pods: at once, or by a stream's address. */
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { status } from '@grpc/grpc-js';
import type { Cri } from '../../rpc/cri.js';
import { Cri as V1 } from '../../rpc/cri.js';
import { native } from '../../runtime/native.js';
import type { CriDeps } from './deps.js';
import { CriFailure, invalid } from './errors.js';
import { type ContainerView, findContainer, findSandbox } from './view.js';

/** As the interface says; what comes beyond is dropped. */
const MAX_OUTPUT = 16 << 20;
const CONNECT_MS = 10_000;

function running(deps: CriDeps, id: string): ContainerView {
  const view = findContainer(deps, id);
  if (view.state !== V1.ContainerState.CONTAINER_RUNNING)
    throw new CriFailure(status.UNKNOWN, `container ${view.id} is not running`);
  return view;
}

export async function execSync(
  deps: CriDeps,
  { containerId, cmd, timeout }: Cri.ExecSyncRequest.$Properties,
): Promise<Cri.ExecSyncResponse.$Properties> {
  const { id } = running(deps, containerId ?? '');
  if (!cmd?.length) throw invalid('the command is empty');
  const options = { stdin: false, stdout: true, stderr: true, tty: false };
  const session = await deps.runtime.exec(id, cmd, options);
  const seconds = Number(timeout ?? 0);
  let late = false;
  const timer =
    seconds > 0 &&
    setTimeout(() => {
      late = true;
      session.close();
    }, seconds * 1000);
  try {
    const outputs = Promise.all([collect(session.stdout), collect(session.stderr)]);
    const { exitCode } = await session.exited;
    const [stdout, stderr] = await outputs;
    return { stdout, stderr, exitCode };
  } catch (error) {
    if (late)
      throw new CriFailure(
        status.DEADLINE_EXCEEDED,
        `failed to exec in container: timeout ${seconds}s exceeded: context deadline exceeded`,
      );
    throw error;
  } finally {
    if (timer) clearTimeout(timer);
  }
}

async function collect(stream: Readable | undefined): Promise<Buffer> {
  const parts: Buffer[] = [];
  let left = MAX_OUTPUT;
  if (stream)
    for await (const part of stream as AsyncIterable<Buffer>) {
      if (left > 0) parts.push(part.subarray(0, left));
      left -= part.length;
    }
  return Buffer.concat(parts);
}

export function exec(deps: CriDeps, request: Cri.ExecRequest.$Properties): Cri.StreamResponse.$Properties {
  const { id } = running(deps, request.containerId ?? '');
  const { command, ...options } = session(request, request.cmd ?? []);
  if (command.length === 0) throw invalid('the command is empty');
  return deps.streams.session('exec', { command, ...options }, () => deps.runtime.exec(id, command, options));
}

export function attach(
  deps: CriDeps,
  request: Cri.AttachRequest.$Properties,
): Cri.StreamResponse.$Properties {
  const { id } = running(deps, request.containerId ?? '');
  const { command, ...options } = session(request, []);
  return deps.streams.session('attach', { command, ...options }, () => deps.runtime.attach(id, options));
}

type Asked = Pick<Cri.ExecRequest.$Properties, 'stdin' | 'stdout' | 'stderr' | 'tty'>;

function session({ stdin, stdout, stderr, tty }: Asked, command: string[]) {
  if (tty && stderr) throw invalid('tty and stderr cannot both be true');
  if (!stdin && !stdout && !stderr) throw invalid('one of stdin, stdout, or stderr must be set');
  return {
    command,
    stdin: stdin ?? false,
    stdout: stdout ?? false,
    stderr: stderr ?? false,
    tty: tty ?? false,
  };
}

export function portForward(
  deps: CriDeps,
  { podSandboxId }: Cri.PortForwardRequest.$Properties,
): Cri.StreamResponse.$Properties {
  const view = findSandbox(deps, podSandboxId ?? '');
  if (!view.ready) throw new CriFailure(status.UNKNOWN, `sandbox ${view.id} is not running`);
  return deps.streams.forward(view.metadata.name ?? '', (port) => connect(deps, view.id, port));
}

async function connect({ runtime }: CriDeps, id: string, port: number): Promise<Socket> {
  const netns = runtime.sandbox(id)?.netns ?? '';
  let failed: Error | undefined;
  for (const address of ['127.0.0.1', '::1'])
    try {
      const fd = await native.connectInNamespace(netns, address, port, CONNECT_MS);
      return new Socket({ fd, allowHalfOpen: true });
    } catch (error) {
      failed ??= error as Error;
    }
  throw failed;
}
