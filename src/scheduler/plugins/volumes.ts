/** VolumeRestrictions, VolumeZone and NodeVolumeLimits: what volumes allow besides where they are. */
import type { Node, PersistentVolume, Pod } from '#types';
import { objectKey } from '../../api/machinery/types.js';
import { storageClassOf } from '../../api/resources/core/volume-fields.js';
import { CSI_ATTACH_PREFIX } from '../../api/storage/annotations.js';
import { claimIndex } from '../../api/storage/pod-claims.js';
import type { CacheView, FilterPlugin } from '../framework.js';
import { claimsOfPod, type StorageView, usesClaims } from '../storage/view.js';

const IN_USE =
  'node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod';
const NO_ZONE = 'node(s) had no available volume zone';
const TOO_MANY = 'node(s) exceed max volume count';
const ZONES = [
  'topology.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region',
];

export const volumeRestrictions: FilterPlugin = {
  name: 'VolumeRestrictions',
  helps: (event, waiting, changed) =>
    event === 'pod-removed' && claimIndex(changed.pod).some((key) => claimIndex(waiting.pod).includes(key)),
  filter({ pod: { pod, uid }, storage, cache }) {
    if (!usesClaims(pod)) return undefined;
    const exclusive = new Set(
      claimsOfPod(pod, storage)
        .filter(({ spec }) => spec.accessModes?.includes('ReadWriteOncePod'))
        .map(objectKey),
    );
    if (exclusive.size === 0) return undefined;
    const isUsed = usersOf(exclusive, uid, cache);
    return (node) => (isUsed(node.name) ? { reasons: [IN_USE], unresolvable: false } : undefined);
  },
};

/** A claim for one pod is used wherever that pod is: no node takes a second one. */
function usersOf(claims: ReadonlySet<string>, uid: string, cache: CacheView): (node: string) => boolean {
  const used = cache.nodes.some((node) =>
    [...node.pods.values()].some(
      (other) => other.uid !== uid && claimIndex(other.pod).some((key) => claims.has(key)),
    ),
  );
  return () => used;
}

export const volumeZone: FilterPlugin = {
  name: 'VolumeZone',
  helpedByStorage: true,
  filter({ pod: { pod }, storage }) {
    const labels = usesClaims(pod) ? boundVolumes(pod, storage).flatMap(zoneLabels) : [];
    if (labels.length === 0) return undefined;
    return ({ node }) =>
      isZoned(node!) && labels.some(([key, values]) => !values.has(node!.metadata.labels?.[key] ?? ''))
        ? { reasons: [NO_ZONE], unresolvable: true }
        : undefined;
  },
};

const isZoned = ({ metadata }: Node): boolean => ZONES.some((key) => metadata.labels?.[key] !== undefined);

const zoneLabels = ({ metadata }: PersistentVolume): [string, Set<string>][] =>
  ZONES.flatMap((key) => {
    const value = metadata.labels?.[key];
    return value === undefined ? [] : [[key, new Set(value.split('__'))] as [string, Set<string>]];
  });

function boundVolumes(pod: Pod, storage: StorageView): PersistentVolume[] {
  return claimsOfPod(pod, storage).flatMap(
    ({ spec }) => (spec.volumeName && storage.volume(spec.volumeName)) || [],
  );
}

export const nodeVolumeLimits: FilterPlugin = {
  name: 'NodeVolumeLimits',
  helpedByStorage: true,
  helps: (event, _waiting, changed) => event === 'pod-removed' && usesClaims(changed.pod),
  filter({ pod: { pod }, storage }) {
    const wanted = csiVolumes(pod, storage);
    if (wanted.size === 0) return undefined;
    return (node) => {
      const drivers = storage.csiNode(node.name)?.spec.drivers ?? [];
      const limits = new Map(
        drivers.flatMap(({ name, allocatable }) =>
          allocatable?.count === undefined ? [] : [[name, allocatable.count] as const],
        ),
      );
      if (![...wanted.values()].some((driver) => limits.has(driver))) return undefined;
      const all = new Map(wanted);
      for (const other of node.pods.values())
        for (const [volume, driver] of csiVolumes(other.pod, storage)) all.set(volume, driver);
      const exceeds = [...limits].some(
        ([driver, limit]) =>
          [...wanted.values()].includes(driver) &&
          [...all.values()].filter((other) => other === driver).length > limit,
      );
      return exceeds ? { reasons: [TOO_MANY], unresolvable: false } : undefined;
    };
  },
};

/** The volumes of CSI drivers that a pod needs, by what tells one from another → driver. */
function csiVolumes(pod: Pod, storage: StorageView): Map<string, string> {
  const found = new Map<string, string>();
  if (!usesClaims(pod)) return found;
  for (const claim of claimsOfPod(pod, storage)) {
    const volume = claim.spec.volumeName ? storage.volume(claim.spec.volumeName) : undefined;
    const csi = volume?.spec.csi;
    if (csi) found.set(`${CSI_ATTACH_PREFIX}${csi.driver}^${csi.volumeHandle}`, csi.driver);
    else if (!volume) {
      const provisioner = storage.storageClass(storageClassOf(claim))?.provisioner;
      if (provisioner) found.set(objectKey(claim), provisioner);
    }
  }
  return found;
}
