/** Which ConfigMaps, Secrets and claims a pod refers to, and what claims and volumes refer to in turn. */
import type { Container, PersistentVolume, PersistentVolumeClaim, Pod } from '#types';
import type { KubeObject } from '../api/machinery/types.js';
import { attachmentName } from '../api/storage/attachment.js';
import { claimNameOf } from '../api/storage/pod-claims.js';

export interface Reference {
  resource: 'configmaps' | 'persistentvolumeclaims' | 'secrets';
  name: string;
}

/** Each once, in no particular order; all are of the pod's namespace. */
export function podReferences(pod: Pod): Reference[] {
  const found = new Map<string, Reference>();
  const add = (resource: Reference['resource'], name: string | undefined) => {
    if (name) found.set(`${resource}/${name}`, { resource, name });
  };
  for (const { name } of pod.spec.imagePullSecrets ?? []) add('secrets', name);
  for (const volume of pod.spec.volumes ?? []) {
    add('configmaps', volume.configMap?.name);
    add('secrets', volume.secret?.secretName);
    add('secrets', volume.csi?.nodePublishSecretRef?.name);
    add('persistentvolumeclaims', claimNameOf(pod, volume));
    for (const source of volume.projected?.sources ?? []) {
      add('configmaps', source.configMap?.name);
      add('secrets', source.secret?.name);
    }
  }
  const containers: Pick<Container, 'env' | 'envFrom'>[] = [
    ...(pod.spec.initContainers ?? []),
    ...pod.spec.containers,
    ...(pod.spec.ephemeralContainers ?? []),
  ];
  for (const container of containers) {
    for (const from of container.envFrom ?? []) {
      add('configmaps', from.configMapRef?.name);
      add('secrets', from.secretRef?.name);
    }
    for (const { valueFrom } of container.env ?? []) {
      add('configmaps', valueFrom?.configMapKeyRef?.name);
      add('secrets', valueFrom?.secretKeyRef?.name);
    }
  }
  return [...found.values()];
}

/** What a node has to know besides, when it knows this object: `<resource> <key>` each. */
export function furtherReferences(resource: string, object: KubeObject, node: string): string[] {
  if (resource === 'persistentvolumeclaims') {
    const { volumeName } = (object as PersistentVolumeClaim).spec;
    return volumeName ? [`persistentvolumes ${volumeName}`] : [];
  }
  const csi = resource === 'persistentvolumes' ? (object as PersistentVolume).spec.csi : undefined;
  if (csi === undefined) return [];
  const secrets = [csi.nodeStageSecretRef, csi.nodePublishSecretRef, csi.nodeExpandSecretRef];
  return [
    `volumeattachments ${attachmentName(csi.volumeHandle, csi.driver, node)}`,
    ...secrets.flatMap((ref) => (ref?.name ? [`secrets ${ref.namespace}/${ref.name}`] : [])),
  ];
}
