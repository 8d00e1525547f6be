/** Ways through the containers of a pod. */
import type { Container, EphemeralContainer, PodSpec } from '#types';
import { child, index } from '../../../machinery/field.js';

export type ContainerList = 'containers' | 'initContainers' | 'ephemeralContainers';

/** Calls `visit` for each init, regular and ephemeral container, with its path below `path` (of the spec). */
export function visitContainers(
  spec: PodSpec,
  path: string,
  visit: (container: Container | EphemeralContainer, path: string, list: ContainerList) => void,
): void {
  for (const list of ['initContainers', 'containers', 'ephemeralContainers'] as const)
    spec[list]?.forEach((container, i) => {
      visit(container, index(child(path, list), i), list);
    });
}

/** A sidecar (KEP-753): an init container that runs as long as the pod does. */
export const isRestartableInit = (container: Container | undefined): boolean =>
  container?.restartPolicy === 'Always';
