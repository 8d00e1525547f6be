/** What becomes of a claim (upstream `syncClaim`). */
import type { PersistentVolume, PersistentVolumeClaim, Pod, StorageClass } from '#types';
import { objectKey, produce } from '../../api/machinery/types.js';
import { storageClassOf } from '../../api/resources/core/volume-fields.js';
import { ANNOTATION, NO_PROVISIONER } from '../../api/storage/annotations.js';
import {
  claimKeyOf,
  defaultClass,
  findVolume,
  hasAnnotation,
  isBindComplete,
  isVolumeOf,
  unsatisfied,
  wantsDefaultClass,
} from '../../api/storage/matching.js';
import type { Informer } from '../../client/index.js';
import type { Context } from '../context.js';
import type { VolumeStore } from './store.js';

/** Provisioners of this prefix were once part of Kubernetes; none of them is here. */
const IN_TREE = 'kubernetes.io/';

export interface ClaimParts {
  context: Context;
  store: VolumeStore;
  classes: Informer<StorageClass>;
  /** Pods that use a claim, by its key. */
  podsOf(claimKey: string): Pod[];
}

export async function syncClaim(parts: ClaimParts, claim: PersistentVolumeClaim): Promise<void> {
  if (isBindComplete(claim)) return syncBound(parts, claim);
  return claim.spec.volumeName ? syncNamed(parts, claim) : syncUnbound(parts, claim);
}

async function syncUnbound(parts: ClaimParts, claim: PersistentVolumeClaim): Promise<void> {
  const { context, store, classes } = parts;
  const className = storageClassOf(claim);
  const storageClass = classes.get(className);
  const waits =
    storageClass?.volumeBindingMode === 'WaitForFirstConsumer' &&
    !hasAnnotation(claim, ANNOTATION.selectedNode);
  const volume = findVolume(claim, store.volumes.list(), { ownOnly: waits });
  if (volume) return store.bind(volume, claim);
  if (waits) tellWaiting(parts, claim);
  else if (className !== '') await provision(parts, claim, storageClass);
  else if (await giveDefaultClass(parts, claim)) return;
  else
    context.events.event(
      claim,
      'Normal',
      'FailedBinding',
      'no persistent volumes available for this claim and no storage class is set',
    );
  await pending(parts, claim);
}

const pending = ({ store }: ClaimParts, claim: PersistentVolumeClaim) =>
  store.setClaimPhase(store.claims.get(objectKey(claim)) ?? claim, 'Pending');

/** A class that became the default later counts for claims that wait without one. */
async function giveDefaultClass(
  { store, classes }: ClaimParts,
  claim: PersistentVolumeClaim,
): Promise<boolean> {
  const chosen = wantsDefaultClass(claim) ? defaultClass(classes.list()) : undefined;
  if (chosen === undefined) return false;
  await store.updateClaim(
    produce(claim, (draft) => {
      draft.spec.storageClassName = chosen.metadata.name;
    }),
  );
  return true;
}

function tellWaiting({ context, podsOf }: ClaimParts, claim: PersistentVolumeClaim): void {
  const names = podsOf(objectKey(claim))
    .filter(({ spec, metadata }) => !spec.nodeName && !metadata.deletionTimestamp)
    .map(({ metadata }) => metadata.name)
    .sort();
  if (names.length === 0)
    context.events.event(
      claim,
      'Normal',
      'WaitForFirstConsumer',
      'waiting for first consumer to be created before binding',
    );
  else {
    const which = names.length === 1 ? `pod ${names[0]}` : `pods ${names.join(', ')}`;
    context.events.event(claim, 'Normal', 'WaitForPodScheduled', `waiting for ${which} to be scheduled`);
  }
}

/** Volumes are made by others: the claim tells by whom. */
async function provision(
  { context, store }: ClaimParts,
  claim: PersistentVolumeClaim,
  storageClass: StorageClass | undefined,
): Promise<void> {
  const failed = (why: string) => context.events.event(claim, 'Warning', 'ProvisioningFailed', why);
  if (storageClass === undefined)
    return failed(`storageclass.storage.k8s.io ${JSON.stringify(storageClassOf(claim))} not found`);
  const { provisioner } = storageClass;
  if (provisioner === NO_PROVISIONER || provisioner.startsWith(IN_TREE))
    return failed(`no volume plugin matched name: ${provisioner}`);
  if (claim.metadata.annotations?.[ANNOTATION.provisioner] !== provisioner)
    await store.updateClaim(
      produce(claim, (draft) => {
        draft.metadata.annotations = {
          ...draft.metadata.annotations,
          [ANNOTATION.betaProvisioner]: provisioner,
          [ANNOTATION.provisioner]: provisioner,
        };
      }),
    );
  context.events.event(
    claim,
    'Normal',
    'ExternalProvisioning',
    `Waiting for a volume to be created either by the external provisioner '${provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.`,
  );
}

/** The claim asks for a volume by name. */
async function syncNamed(parts: ClaimParts, claim: PersistentVolumeClaim): Promise<void> {
  const { context, store } = parts;
  const volume = store.volumes.get(claim.spec.volumeName ?? '');
  if (volume === undefined) return void (await pending(parts, claim));
  if (isVolumeOf(volume, claim)) return store.bind(volume, claim);
  if (volume.spec.claimRef === undefined) {
    const why = unsatisfied(volume, claim);
    if (why === undefined) return store.bind(volume, claim);
    const message = `Cannot bind to requested volume ${JSON.stringify(volume.metadata.name)}: ${why}`;
    context.events.event(claim, 'Warning', 'VolumeMismatch', message);
  } else {
    const message = `volume ${JSON.stringify(volume.metadata.name)} already bound to a different claim.`;
    context.events.event(claim, 'Warning', 'FailedBinding', message);
  }
  await pending(parts, claim);
}

async function syncBound(parts: ClaimParts, claim: PersistentVolumeClaim): Promise<void> {
  const { store } = parts;
  const name = claim.spec.volumeName ?? '';
  if (name === '')
    return lose(
      parts,
      claim,
      'ClaimLost',
      'Bound claim has lost reference to PersistentVolume. Data on the volume is lost!',
    );
  const volume = store.volumes.get(name);
  if (volume === undefined)
    return lose(
      parts,
      claim,
      'ClaimLost',
      'Bound claim has lost its PersistentVolume. Data on the volume is lost!',
    );
  if (volume.spec.claimRef === undefined || isOwn(volume, claim)) return store.bind(volume, claim);
  return lose(
    parts,
    claim,
    'ClaimMisbound',
    'Two claims are bound to the same volume, this one is bound incorrectly',
  );
}

const isOwn = (volume: PersistentVolume, claim: PersistentVolumeClaim): boolean =>
  claimKeyOf(volume) === objectKey(claim) && isVolumeOf(volume, claim);

async function lose(
  { context, store }: ClaimParts,
  claim: PersistentVolumeClaim,
  reason: string,
  message: string,
): Promise<void> {
  if (claim.status?.phase === 'Lost') return;
  await store.setClaimPhase(claim, 'Lost');
  context.events.event(claim, 'Warning', reason, message);
}
