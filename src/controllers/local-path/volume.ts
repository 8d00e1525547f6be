/** The volume that a claim gets from the local-path provisioner. Pure. */
import type { Node, PersistentVolume, PersistentVolumeClaim, StorageClass } from '#types';
import {
  ANNOTATION,
  LOCAL_PATH_FOLDER,
  LOCAL_PATH_NODE,
  LOCAL_PATH_PROVISIONER,
} from '../../api/storage/annotations.js';

const HOSTNAME = 'kubernetes.io/hostname';

/** For claims that are bound at once: the first ready node by name. */
export function nodeForClaim(_claim: PersistentVolumeClaim, nodes: Node[]): Node | undefined {
  return nodes
    .filter(
      ({ metadata, spec, status }) =>
        metadata.annotations?.[LOCAL_PATH_FOLDER] !== undefined &&
        !spec?.unschedulable &&
        status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
    )
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))[0];
}

/** The volume, or why there can be none. */
export function localVolume(
  claim: PersistentVolumeClaim,
  storageClass: StorageClass,
  node: Node | undefined,
  selected: string | undefined,
): PersistentVolume | string {
  const { metadata, spec } = claim;
  if (node === undefined) return selected ? `node ${JSON.stringify(selected)} not found` : 'no node is ready';
  const folder = node.metadata.annotations?.[LOCAL_PATH_FOLDER];
  if (folder === undefined) return `node ${JSON.stringify(node.metadata.name)} offers no folder for volumes`;
  if (spec.selector) return 'claim Selector is not supported';
  if (spec.volumeMode === 'Block') return 'block volumes are not supported';
  if (spec.dataSource ?? spec.dataSourceRef) return 'volumes can not be filled from a data source';
  const name = `pvc-${metadata.uid}`;
  const hostname = node.metadata.labels?.[HOSTNAME] ?? node.metadata.name;
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: {
      name,
      annotations: {
        [ANNOTATION.provisionedBy]: LOCAL_PATH_PROVISIONER,
        [LOCAL_PATH_NODE]: node.metadata.name,
      },
    },
    spec: {
      accessModes: spec.accessModes,
      capacity: { storage: spec.resources?.requests?.['storage'] ?? '0' },
      claimRef: {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        namespace: metadata.namespace,
        name: metadata.name,
        uid: metadata.uid,
        resourceVersion: metadata.resourceVersion,
      },
      local: { path: `${folder}/${name}` },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: HOSTNAME, operator: 'In', values: [hostname] }] }],
        },
      },
      persistentVolumeReclaimPolicy: storageClass.reclaimPolicy ?? 'Delete',
      storageClassName: storageClass.metadata.name,
      volumeMode: 'Filesystem',
    },
  };
}
