/** DefaultStorageClass: claims that name no class get the newest default one. */
import type { PersistentVolumeClaim } from '#types';
import { isDefaultClass } from '../../api/resources/storage/class-name.js';
import type { Store } from '../../store/store.js';
import type { AdmissionPlugin } from './admission.js';

const OLD_ANNOTATION = 'volume.beta.kubernetes.io/storage-class';

export function defaultStorageClass(store: Store): AdmissionPlugin {
  return {
    name: 'DefaultStorageClass',
    async admit({ resource, operation, subresource, object }) {
      if (resource.group !== '' || resource.plural !== 'persistentvolumeclaims' || !object) return;
      if (operation !== 'CREATE' || subresource !== '') return;
      const claim = object as unknown as PersistentVolumeClaim;
      if (claim.spec.storageClassName !== undefined) return;
      if (claim.metadata.annotations?.[OLD_ANNOTATION] !== undefined) return;
      const { items } = await store.list('storage.k8s.io/storageclasses//');
      const created = (meta: { creationTimestamp?: string }) => meta.creationTimestamp ?? '';
      const [newest] = items
        .map(({ object: storageClass }) => storageClass)
        .filter(isDefaultClass)
        .sort(
          (a, b) =>
            created(b.metadata).localeCompare(created(a.metadata)) ||
            a.metadata.name.localeCompare(b.metadata.name),
        );
      if (newest) claim.spec.storageClassName = newest.metadata.name;
    },
  };
}
