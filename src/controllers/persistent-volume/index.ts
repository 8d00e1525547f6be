/**
 * The persistent volume binder: gives claims their volumes, asks provisioners for those that are missing, and
 * says what becomes of volumes whose claim is gone.
 * @see https://kubernetes.io/docs/concepts/storage/persistent-volumes/
 */
import type { PersistentVolume, PersistentVolumeClaim, Pod, StorageClass } from '#types';
import { objectKey } from '../../api/machinery/types.js';
import { storageClassOf } from '../../api/resources/core/volume-fields.js';
import {
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  storageClasses,
} from '../../api/resources/index.js';
import { isBindComplete } from '../../api/storage/matching.js';
import { CLAIM_INDEX, claimIndex } from '../../api/storage/pod-claims.js';
import { type Controller, type ControllersOptions, contextOf, WorkLoop } from '../context.js';
import { syncClaim } from './claims.js';
import { VolumeStore } from './store.js';
import { syncVolume } from './volumes.js';

const CLAIM = 'claim ';
const VOLUME = 'volume ';

export function startPersistentVolumeBinder(options: ControllersOptions): Controller {
  const context = contextOf(options, 'persistent-volume-binder', 'persistentvolume-controller');
  const { informers } = context;
  const claims = informers.of(persistentVolumeClaims);
  const volumes = informers.of(persistentVolumes);
  const classes = informers.of(storageClasses);
  const allPods = informers.of(pods, { indexes: { [CLAIM_INDEX]: claimIndex } });
  const store = new VolumeStore(context);
  const parts = {
    context,
    store,
    classes,
    podsOf: (key: string) => allPods.byIndex(CLAIM_INDEX, key),
    claimChanged: (key: string) => loop.queue.add(CLAIM + key),
  };

  const reconcile = async (key: string): Promise<void> => {
    if (key.startsWith(CLAIM)) {
      const claim = store.claims.get(key.slice(CLAIM.length));
      if (claim) await syncClaim(parts, claim);
      return;
    }
    const volume = store.volumes.get(key.slice(VOLUME.length));
    if (volume) await syncVolume(parts, volume);
  };

  const synced = [claims.synced, volumes.synced, classes.synced, allPods.synced];
  // One at a time: a claim and its volume are written in turns.
  const loop = new WorkLoop(context, synced, reconcile, 1);
  const addClaim = (claim: PersistentVolumeClaim) => {
    loop.queue.add(CLAIM + objectKey(claim));
    if (claim.spec.volumeName) loop.queue.add(VOLUME + claim.spec.volumeName);
  };
  const addWaiting = (matches: (claim: PersistentVolumeClaim) => boolean) => {
    for (const claim of claims.list())
      if (!isBindComplete(claim) && matches(claim)) loop.queue.add(CLAIM + objectKey(claim));
  };
  const volumeChanged = (old: PersistentVolume | undefined, volume: PersistentVolume) => {
    const { name } = volume.metadata;
    loop.queue.add(VOLUME + name);
    const isNews = old === undefined || old.status?.phase !== volume.status?.phase;
    if (isNews && volume.status?.phase === 'Available')
      addWaiting(
        (claim) => claim.spec.volumeName === name || storageClassOf(claim) === storageClassOf(volume),
      );
    if (isNews) addWaiting((claim) => claim.spec.volumeName === name);
  };
  const classChanged = (storageClass: StorageClass) =>
    addWaiting((claim) => ['', storageClass.metadata.name].includes(storageClassOf(claim)));
  const podAdded = (pod: Pod) => {
    for (const key of claimIndex(pod)) {
      const claim = claims.get(key);
      if (claim && !isBindComplete(claim)) loop.queue.add(CLAIM + key);
    }
  };
  loop.onClose(
    () => store.close(),
    claims.on({ added: addClaim, updated: (_, claim) => addClaim(claim), deleted: addClaim }),
    volumes.on({
      added: (volume) => volumeChanged(undefined, volume),
      updated: volumeChanged,
      deleted: ({ metadata: { name }, spec }) => {
        const { namespace, name: claim } = spec.claimRef ?? {};
        if (claim) loop.queue.add(`${CLAIM}${namespace}/${claim}`);
        addWaiting((other) => other.spec.volumeName === name);
      },
    }),
    classes.on({ added: classChanged, updated: (_, storageClass) => classChanged(storageClass) }),
    allPods.on({ added: podAdded }),
  );
  return loop;
}
