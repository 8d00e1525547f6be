/** How a pod's claims get their volumes on a node (upstream `FindPodVolumes`). Pure. */
import type {
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  StorageClass,
  TopologySelectorTerm,
} from '#types';
import { compareQuantities } from '../../api/machinery/quantity.js';
import { labelSelector } from '../../api/machinery/selectors.js';
import { objectKey } from '../../api/machinery/types.js';
import { storageClassOf } from '../../api/resources/core/volume-fields.js';
import { NO_PROVISIONER } from '../../api/storage/annotations.js';
import { findVolume, isBindComplete, reachableFrom } from '../../api/storage/matching.js';
import type { StorageView } from './view.js';

export const NO_VOLUME = "node(s) didn't find available persistent volumes to bind";
export const WRONG_NODE = "node(s) didn't match PersistentVolume's node affinity";
export const NO_SPACE = 'node(s) did not have enough free storage';
export const LOST_VOLUME = 'node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)';

export interface Sorted {
  bound: PersistentVolumeClaim[];
  /** They get their volume once a node is chosen. */
  delayed: PersistentVolumeClaim[];
  /** They should have one by now. */
  immediate: PersistentVolumeClaim[];
}

export function sortClaims(claims: PersistentVolumeClaim[], storage: StorageView): Sorted {
  const sorted: Sorted = { bound: [], delayed: [], immediate: [] };
  for (const claim of claims) {
    const waits = storage.storageClass(storageClassOf(claim))?.volumeBindingMode === 'WaitForFirstConsumer';
    if (claim.spec.volumeName && isBindComplete(claim)) sorted.bound.push(claim);
    else if (waits && !claim.spec.volumeName) sorted.delayed.push(claim);
    else sorted.immediate.push(claim);
  }
  return sorted;
}

export interface Decision {
  /** Volumes that exist, each for a claim. */
  bindings: { claim: PersistentVolumeClaim; volume: PersistentVolume }[];
  /** Claims whose volumes are to be made. */
  provisions: PersistentVolumeClaim[];
}

/** What to do so that the pod has its volumes on the node, or why it can't. */
export function decide({ bound, delayed }: Sorted, node: Node, storage: StorageView): Decision | string[] {
  const reasons = new Set<string>();
  for (const claim of bound) {
    const volume = storage.volume(claim.spec.volumeName!);
    if (volume === undefined) reasons.add(LOST_VOLUME);
    else if (!reachableFrom(volume, node)) reasons.add(WRONG_NODE);
  }
  const decision: Decision = { bindings: [], provisions: [] };
  const chosen = new Set<string>();
  // The smallest first, so that no claim takes a volume that only a larger one needs.
  const bySize = [...delayed].sort((a, b) => compareQuantities(sizeOf(a), sizeOf(b)));
  for (const claim of bySize) {
    const selected = storage.selectedNode(claim);
    if (selected !== undefined) {
      if (selected === node.metadata.name) decision.provisions.push(claim);
      else reasons.add(NO_VOLUME);
      continue;
    }
    const taken = new Set([...chosen, ...storage.takenFrom(objectKey(claim))]);
    const volume = findVolume(claim, storage.volumes(), { node, taken });
    if (volume) {
      chosen.add(volume.metadata.name);
      decision.bindings.push({ claim, volume });
      continue;
    }
    const why = whyNotMade(claim, node, storage);
    if (why === undefined) decision.provisions.push(claim);
    else reasons.add(why);
  }
  return reasons.size > 0 ? [...reasons] : decision;
}

const sizeOf = (claim: PersistentVolumeClaim) => claim.spec.resources?.requests?.['storage'];

function whyNotMade(claim: PersistentVolumeClaim, node: Node, storage: StorageView): string | undefined {
  const storageClass = storage.storageClass(storageClassOf(claim));
  if (!storageClass?.provisioner || storageClass.provisioner === NO_PROVISIONER) return NO_VOLUME;
  if (!allowsTopology(storageClass, node)) return NO_VOLUME;
  return hasCapacity(claim, storageClass, node, storage) ? undefined : NO_SPACE;
}

function allowsTopology({ allowedTopologies }: StorageClass, node: Node): boolean {
  if (!allowedTopologies?.length) return true;
  const matches = ({ matchLabelExpressions = [] }: TopologySelectorTerm) =>
    matchLabelExpressions.every(({ key, values }) => values.includes(node.metadata.labels?.[key] ?? ''));
  return allowedTopologies.some(matches);
}

/** Only drivers that say so tell how much room they have. */
function hasCapacity(
  claim: PersistentVolumeClaim,
  { metadata, provisioner }: StorageClass,
  node: Node,
  storage: StorageView,
): boolean {
  if (!storage.csiDriver(provisioner)?.spec.storageCapacity) return true;
  return storage.capacities().some((there) => {
    const room = there.maximumVolumeSize ?? there.capacity;
    return (
      there.storageClassName === metadata.name &&
      room !== undefined &&
      compareQuantities(room, sizeOf(claim)) >= 0 &&
      there.nodeTopology !== undefined &&
      labelSelector(there.nodeTopology).matches(node.metadata.labels)
    );
  });
}
