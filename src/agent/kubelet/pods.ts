/** Lists of the node's pods: those it was given, and those that run. */
import type { Pod } from '#types';
import type { EndpointDeps } from './answers.js';

const podList = (items: Pod[]) => ({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items });

export const pods = ({ pods: manager }: EndpointDeps) => podList(manager.list().map(({ pod }) => pod));

/** As the runtime has them: what it does not know is left out. */
export function runningPods({ pods: manager, runtime, node }: EndpointDeps) {
  const running = manager.list().flatMap(({ pod }): Pod[] => {
    const { name, namespace, uid = '' } = pod.metadata;
    const containers = runtime.sandbox(uid)?.containers.filter(({ state }) => state === 'running') ?? [];
    if (containers.length === 0) return [];
    const named = containers.map(({ name: container, imageId }) => ({
      name: container,
      image: node.images.get(imageId)?.tags[0] ?? imageId,
      resources: {},
    }));
    return [{ metadata: { name, namespace, uid }, spec: { containers: named }, status: {} } as Pod];
  });
  return podList(running);
}
