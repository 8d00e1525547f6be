/** Writes why a pod has no node into its PodScheduled condition. */
import type { Pod, PodCondition } from '#types';
import { timestamp } from '../api/machinery/clock.js';
import { pods } from '../api/resources/index.js';
import type { Client } from '../client/index.js';

/**
 * Does nothing when the pod says so already. `nominated`: the node that it is promised; null takes a promise
 * back; undefined leaves it.
 */
export async function markUnscheduled(
  client: Client,
  pod: Pod,
  reason: string,
  message: string,
  now: number,
  nominated?: string | null,
): Promise<void> {
  const current = pod.status?.conditions?.find((c) => c.type === 'PodScheduled');
  const { namespace = '', name, uid, generation } = pod.metadata;
  const isPromised =
    nominated === undefined || (nominated ?? undefined) === (pod.status?.nominatedNodeName || undefined);
  const isTold = current?.status === 'False' && current.reason === reason && current.message === message;
  if (isPromised && isTold) return;
  const condition: PodCondition = {
    type: 'PodScheduled',
    status: 'False',
    reason,
    message,
    lastTransitionTime:
      current?.status === 'False' && current.lastTransitionTime ? current.lastTransitionTime : timestamp(now),
    ...(generation === undefined ? {} : { observedGeneration: generation }),
  };
  const promise = isPromised ? {} : { nominatedNodeName: nominated };
  const patch = { metadata: { uid }, status: { ...promise, conditions: [condition] } };
  await client.of(pods).patch(namespace, name, patch, { type: 'strategic', subresource: 'status' });
}
