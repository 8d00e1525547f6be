/** Which ConfigMaps and Secrets a pod refers to. */
import type { Container, Pod } from '#types';

export interface Reference {
  resource: 'configmaps' | 'secrets';
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
