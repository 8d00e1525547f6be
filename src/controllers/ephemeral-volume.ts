/**
 * Makes the claims behind the generic ephemeral volumes of pods.
 * @see https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/#generic-ephemeral-volumes
 */
import type { PersistentVolumeClaim, Pod, Volume } from '#types';
import { isReason } from '../api/machinery/status.js';
import { objectKey } from '../api/machinery/types.js';
import { persistentVolumeClaims, pods } from '../api/resources/index.js';
import { CLAIM_INDEX, claimIndex, claimNameOf, notForPod } from '../api/storage/pod-claims.js';
import { type Controller, type ControllersOptions, contextOf, WorkLoop } from './context.js';
import { controllerRef } from './owners.js';
import { isPodTerminal } from './pods.js';

export function startEphemeralVolumeController(options: ControllersOptions): Controller {
  const context = contextOf(options, 'ephemeral-volume-controller', 'ephemeral_volume');
  const claims = context.informers.of(persistentVolumeClaims);
  const allPods = context.informers.of(pods, { indexes: { [CLAIM_INDEX]: claimIndex } });

  const ensure = async (pod: Pod, volume: Volume): Promise<void> => {
    const claim = claimFor(pod, volume);
    const known = claims.get(objectKey(claim));
    const conflict = known && notForPod(pod, known);
    if (conflict) {
      const message = `ephemeral volume ${volume.name}: ${conflict}`;
      context.events.event(pod, 'Warning', 'FailedBinding', message);
      throw new Error(message);
    }
    if (known) return;
    try {
      await context.client.of(persistentVolumeClaims).create(claim);
    } catch (error) {
      if (isReason(error, 'AlreadyExists')) return;
      const message = `ephemeral volume ${volume.name}: create PVC ${objectKey(claim)}: ${(error as Error).message}`;
      context.events.event(pod, 'Warning', 'FailedBinding', message);
      throw error;
    }
  };
  const reconcile = async (key: string): Promise<void> => {
    const pod = allPods.get(key);
    if (pod === undefined || pod.metadata.deletionTimestamp || isPodTerminal(pod)) return;
    for (const volume of pod.spec.volumes ?? []) if (volume.ephemeral) await ensure(pod, volume);
  };

  const loop = new WorkLoop(context, [claims.synced, allPods.synced], reconcile, 2);
  const podAdded = (pod: Pod) => {
    if (pod.spec.volumes?.some(({ ephemeral }) => ephemeral)) loop.queue.add(objectKey(pod));
  };
  loop.onClose(
    allPods.on({ added: podAdded }),
    // A claim that was deleted too early is made again.
    claims.on({
      deleted: (claim) => {
        for (const pod of allPods.byIndex(CLAIM_INDEX, objectKey(claim))) podAdded(pod);
      },
    }),
  );
  return loop;
}

function claimFor(pod: Pod, volume: Volume): PersistentVolumeClaim {
  const { metadata, spec } = volume.ephemeral!.volumeClaimTemplate!;
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: claimNameOf(pod, volume)!,
      namespace: pod.metadata.namespace,
      ...(metadata?.labels ? { labels: metadata.labels } : {}),
      ...(metadata?.annotations ? { annotations: metadata.annotations } : {}),
      ownerReferences: [controllerRef({ ...pod, apiVersion: 'v1', kind: 'Pod' })],
    },
    spec,
  };
}
