/** Tells each listener what becomes of containers. */
import type { ServerWritableStream } from '@grpc/grpc-js';
import type { Cri } from '../../rpc/cri.js';
import { Cri as V1 } from '../../rpc/cri.js';
import type { ContainerStatus } from '../../runtime/types.js';
import type { CriDeps } from './deps.js';
import { nanos } from './errors.js';
import { sandboxStatus } from './sandboxes.js';
import { containerStatus, containerViews, sandboxViews } from './view.js';

/** Messages that may wait for a slow listener before it is cut off. */
const MAX_WAITING_BYTES = 1 << 20;
const TYPE = V1.ContainerEventType;

export function containerEvents(
  call: ServerWritableStream<object, Cri.ContainerEventResponse.$Properties>,
  deps: CriDeps,
): void {
  const { runtime } = deps;
  const tell = (type: V1.ContainerEventType, { id, sandboxId }: ContainerStatus) => {
    const sandbox = sandboxViews(deps).find((view) => view.id === sandboxId);
    const containers = containerViews(deps).filter((view) => view.sandboxId === sandboxId);
    call.write({
      ...{ containerId: id, containerEventType: type, createdAt: nanos(Date.now()) },
      podSandboxStatus: sandbox ? sandboxStatus(deps, sandbox) : null,
      containersStatuses: containers.map((view) => containerStatus(view)),
    });
    if (call.writableLength > MAX_WAITING_BYTES) call.destroy(new Error('too slow'));
  };
  const started = (status: ContainerStatus) => {
    tell(TYPE.CONTAINER_CREATED_EVENT, status);
    tell(TYPE.CONTAINER_STARTED_EVENT, status);
  };
  const exited = (status: ContainerStatus) => tell(TYPE.CONTAINER_STOPPED_EVENT, status);
  const removed = (status: ContainerStatus) => tell(TYPE.CONTAINER_DELETED_EVENT, status);
  runtime.on('started', started);
  runtime.on('exit', exited);
  runtime.on('removed', removed);
  const end = () => {
    runtime.off('started', started);
    runtime.off('exit', exited);
    runtime.off('removed', removed);
  };
  call.once('cancelled', end);
  call.once('close', end);
  call.on('error', end);
}
