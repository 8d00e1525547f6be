/**
 * Claims that pods use, volumes that claims have, and attributes classes that these name are not deleted before their
 * time: by finalizers.
 */
import type { PersistentVolume, PersistentVolumeClaim, Pod } from '#types';
import { isReason } from '../api/machinery/status.js';
import { type KubeObject, objectKey, produce } from '../api/machinery/types.js';
import type { Resource } from '../api/resources/define.js';
import {
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  volumeAttributesClasses,
} from '../api/resources/index.js';
import {
  ATTRIBUTES_CLASS_PROTECTION,
  CLAIM_PROTECTION,
  VOLUME_PROTECTION,
} from '../api/storage/annotations.js';
import { attributesClassesOf } from '../api/storage/attributes-classes.js';
import { CLAIM_INDEX, claimIndex, notForPod } from '../api/storage/pod-claims.js';
import { type Context, type Controller, type ControllersOptions, contextOf, WorkLoop } from './context.js';

export function startClaimProtection(options: ControllersOptions): Controller {
  const context = contextOf(options, 'pvc-protection-controller');
  const claims = context.informers.of(persistentVolumeClaims);
  const allPods = context.informers.of(pods, { indexes: { [CLAIM_INDEX]: claimIndex } });
  const reconcile = async (key: string): Promise<void> => {
    const claim = claims.get(key);
    if (claim === undefined) return;
    const isUsed = () => allPods.byIndex(CLAIM_INDEX, key).some((pod) => usesClaim(pod, claim));
    if (claim.metadata.deletionTimestamp && isUsed()) return;
    if (claim.metadata.deletionTimestamp && (await isUsedInApi(context, claim))) return;
    await setFinalizer(context, persistentVolumeClaims, claim, CLAIM_PROTECTION);
  };
  const loop = new WorkLoop(context, [claims.synced, allPods.synced], reconcile, 2);
  const concerns = (claim: PersistentVolumeClaim) => {
    if (isOpen(claim, CLAIM_PROTECTION)) loop.queue.add(objectKey(claim));
  };
  const podChanged = (pod: Pod) => {
    for (const key of claimIndex(pod)) {
      const claim = claims.get(key);
      if (claim) concerns(claim);
    }
  };
  loop.onClose(
    claims.on({ added: concerns, updated: (_, claim) => concerns(claim) }),
    allPods.on({ added: podChanged, updated: (_, pod) => podChanged(pod), deleted: podChanged }),
  );
  return loop;
}

export function startVolumeProtection(options: ControllersOptions): Controller {
  const context = contextOf(options, 'pv-protection-controller');
  const volumes = context.informers.of(persistentVolumes);
  const reconcile = async (key: string): Promise<void> => {
    const volume = volumes.get(key);
    if (volume === undefined) return;
    if (volume.metadata.deletionTimestamp && volume.status?.phase === 'Bound') return;
    await setFinalizer(context, persistentVolumes, volume, VOLUME_PROTECTION);
  };
  const loop = new WorkLoop(context, [volumes.synced], reconcile, 2);
  const concerns = (volume: KubeObject) => {
    if (isOpen(volume, VOLUME_PROTECTION)) loop.queue.add(volume.metadata.name);
  };
  loop.onClose(volumes.on({ added: concerns, updated: (_, volume) => concerns(volume) }));
  return loop;
}

/** KEP-3751. */
export function startAttributesClassProtection(options: ControllersOptions): Controller {
  const context = contextOf(options, 'volumeattributesclass-protection-controller');
  const classes = context.informers.of(volumeAttributesClasses);
  const claims = context.informers.of(persistentVolumeClaims);
  const volumes = context.informers.of(persistentVolumes);
  const isUsed = (name: string) =>
    [...claims.list(), ...volumes.list()].some((user) => attributesClassesOf(user).includes(name));
  const reconcile = async (name: string): Promise<void> => {
    const one = classes.get(name);
    if (one === undefined || (one.metadata.deletionTimestamp && isUsed(name))) return;
    await setFinalizer(context, volumeAttributesClasses, one, ATTRIBUTES_CLASS_PROTECTION);
  };
  const loop = new WorkLoop(context, [classes.synced, claims.synced, volumes.synced], reconcile, 1);
  const concerns = (one: KubeObject) => {
    if (isOpen(one, ATTRIBUTES_CLASS_PROTECTION)) loop.queue.add(one.metadata.name);
  };
  const left = (user: PersistentVolumeClaim | PersistentVolume) => {
    for (const name of attributesClassesOf(user)) {
      const one = classes.get(name);
      if (one) concerns(one);
    }
  };
  const users = { updated: left, deleted: left };
  loop.onClose(
    classes.on({ added: concerns, updated: (_, one) => concerns(one) }),
    claims.on(users),
    volumes.on(users),
  );
  return loop;
}

/** It is to be deleted and has the finalizer, or stays and lacks it. */
const isOpen = ({ metadata }: KubeObject, finalizer: string): boolean =>
  (metadata.deletionTimestamp !== undefined) === (metadata.finalizers ?? []).includes(finalizer);

/** A pod without a node holds nothing: its node won't start it with a claim that goes. */
function usesClaim(pod: Pod, claim: PersistentVolumeClaim): boolean {
  if (!pod.spec.nodeName) return false;
  const isShutDown =
    pod.metadata.deletionTimestamp !== undefined && pod.metadata.deletionGracePeriodSeconds === 0;
  return (pod.spec.volumes ?? []).some(
    (volume) =>
      volume.persistentVolumeClaim?.claimName === claim.metadata.name ||
      (volume.ephemeral !== undefined &&
        !isShutDown &&
        claim.metadata.name === `${pod.metadata.name}-${volume.name}` &&
        notForPod(pod, claim) === undefined),
  );
}

/** The cache may lag behind a pod that has just got its node. */
async function isUsedInApi({ client }: Context, claim: PersistentVolumeClaim): Promise<boolean> {
  const { items } = await client.of(pods).list({ namespace: claim.metadata.namespace });
  return items.some((pod) => usesClaim(pod, claim));
}

async function setFinalizer<T extends KubeObject>(
  { client }: Context,
  resource: Resource<T>,
  object: T,
  finalizer: string,
): Promise<void> {
  if (!isOpen(object, finalizer)) return;
  const changed = produce(object, ({ metadata }) => {
    const others = (metadata.finalizers ?? []).filter((name) => name !== finalizer);
    metadata.finalizers = metadata.deletionTimestamp ? others : [...others, finalizer];
  });
  try {
    await client.of(resource).update(changed);
  } catch (error) {
    if (!isReason(error, 'NotFound')) throw error;
  }
}
