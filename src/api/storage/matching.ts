/** Which volume a claim may have (component-helpers `storage/volume`). Pure. */
import type { Node, PersistentVolume, PersistentVolumeClaim, StorageClass } from '#types';
import { matchesNodeSelector } from '../machinery/node-selector.js';
import { compareQuantities } from '../machinery/quantity.js';
import { labelSelector } from '../machinery/selectors.js';
import { storageClassOf } from '../resources/core/volume-fields.js';
import { isDefaultClass } from '../resources/storage/class-name.js';
import { ANNOTATION } from './annotations.js';

type Annotated = { metadata: { annotations?: Record<string, string> } };

export const hasAnnotation = ({ metadata }: Annotated, name: string): boolean =>
  metadata.annotations?.[name] !== undefined;

export const isBindComplete = (claim: PersistentVolumeClaim): boolean =>
  hasAnnotation(claim, ANNOTATION.bindCompleted);

/** `namespace/name` of the claim that a volume is bound or promised to. */
export const claimKeyOf = ({ spec: { claimRef } }: PersistentVolume): string | undefined =>
  claimRef && `${claimRef.namespace}/${claimRef.name}`;

/** Whether the volume is this claim's: by name, and by UID once that is known. */
export function isVolumeOf(
  { spec: { claimRef } }: PersistentVolume,
  { metadata }: PersistentVolumeClaim,
): boolean {
  if (!claimRef || claimRef.name !== metadata.name || claimRef.namespace !== metadata.namespace) return false;
  return !claimRef.uid || claimRef.uid === metadata.uid;
}

const requestOf = (claim: PersistentVolumeClaim): string =>
  claim.spec.resources?.requests?.['storage'] ?? '0';

const hasModes = (volume: PersistentVolume, claim: PersistentVolumeClaim): boolean =>
  (claim.spec.accessModes ?? []).every((mode) => volume.spec.accessModes?.includes(mode));

const sameVolumeMode = (volume: PersistentVolume, claim: PersistentVolumeClaim): boolean =>
  (volume.spec.volumeMode ?? 'Filesystem') === (claim.spec.volumeMode ?? 'Filesystem');

const sameAttributes = (volume: PersistentVolume, claim: PersistentVolumeClaim): boolean =>
  (volume.spec.volumeAttributesClassName ?? '') === (claim.spec.volumeAttributesClassName ?? '');

/** Whether the volume can be reached from the node. */
export function reachableFrom({ spec }: PersistentVolume, node: Node): boolean {
  const required = spec.nodeAffinity?.required;
  return required === undefined || matchesNodeSelector(required, node);
}

export interface Search {
  /** The scheduler's: only volumes that this node reaches. */
  node?: Node;
  /** Names of volumes that are promised elsewhere. */
  taken?: ReadonlySet<string>;
  /** Only volumes that are the claim's already. */
  ownOnly?: boolean;
}

/**
 * The volume that is the claim's already, else the smallest that satisfies it, with no more access modes than
 * needed; undefined when there is none.
 */
export function findVolume(
  claim: PersistentVolumeClaim,
  volumes: Iterable<PersistentVolume>,
  { node, taken, ownOnly }: Search = {},
): PersistentVolume | undefined {
  const request = requestOf(claim);
  const className = storageClassOf(claim);
  const selector = claim.spec.selector && labelSelector(claim.spec.selector);
  let best: PersistentVolume | undefined;
  for (const volume of volumes) {
    if (taken?.has(volume.metadata.name)) continue;
    const own = isVolumeOf(volume, claim);
    if (volume.spec.claimRef && !own) continue;
    if (compareQuantities(volume.spec.capacity?.['storage'], request) < 0) continue;
    if (!sameVolumeMode(volume, claim) || volume.metadata.deletionTimestamp) continue;
    const reachable = node === undefined || reachableFrom(volume, node);
    if (own) return reachable ? volume : undefined;
    if (ownOnly || !reachable || volume.status?.phase !== 'Available') continue;
    if (storageClassOf(volume) !== className || !hasModes(volume, claim) || !sameAttributes(volume, claim))
      continue;
    if (selector && !selector.matches(volume.metadata.labels)) continue;
    if (best === undefined || isCloser(volume, best)) best = volume;
  }
  return best;
}

function isCloser(a: PersistentVolume, b: PersistentVolume): boolean {
  const extra = (a.spec.accessModes?.length ?? 0) - (b.spec.accessModes?.length ?? 0);
  if (extra !== 0) return extra < 0;
  return compareQuantities(a.spec.capacity?.['storage'], b.spec.capacity?.['storage']) < 0;
}

/** Why a volume that a claim asks for by name can't be its; undefined when it can. */
export function unsatisfied(volume: PersistentVolume, claim: PersistentVolumeClaim): string | undefined {
  const { name, deletionTimestamp } = volume.metadata;
  if (deletionTimestamp) return `the volume is marked for deletion ${JSON.stringify(name)}`;
  if (compareQuantities(volume.spec.capacity?.['storage'], requestOf(claim)) < 0)
    return 'requested PV is too small';
  if (storageClassOf(volume) !== storageClassOf(claim)) return 'storageClassName does not match';
  if (!sameVolumeMode(volume, claim)) return 'incompatible volumeMode';
  if (!hasModes(volume, claim)) return 'incompatible accessMode';
  return sameAttributes(volume, claim) ? undefined : 'VolumeAttributesClassName does not match';
}

/** The newest default class, then the first by name. */
export function defaultClass(classes: Iterable<StorageClass>): StorageClass | undefined {
  let best: StorageClass | undefined;
  const created = ({ metadata }: StorageClass) => Date.parse(metadata.creationTimestamp ?? '') || 0;
  for (const candidate of classes) {
    if (!isDefaultClass(candidate)) continue;
    const difference = best === undefined ? 1 : created(candidate) - created(best);
    if (difference > 0 || (difference === 0 && candidate.metadata.name < best!.metadata.name))
      best = candidate;
  }
  return best;
}

/** Whether the claim says nothing of a class, so that it gets the default one. */
export const wantsDefaultClass = (claim: PersistentVolumeClaim): boolean =>
  claim.spec.storageClassName === undefined && !hasAnnotation(claim, ANNOTATION.betaClass);
