/** DefaultStorageClass: claims that name no class get the newest default one. */
import type { PersistentVolumeClaim, StorageClass } from '#types';
import { defaultClass, wantsDefaultClass } from '../../api/storage/matching.js';
import type { Store } from '../../store/store.js';
import type { AdmissionPlugin } from './admission.js';

export function defaultStorageClass(store: Store): AdmissionPlugin {
  return {
    name: 'DefaultStorageClass',
    async admit({ resource, operation, subresource, object }) {
      if (resource.group !== '' || resource.plural !== 'persistentvolumeclaims' || !object) return;
      if (operation !== 'CREATE' || subresource !== '') return;
      const claim = object as unknown as PersistentVolumeClaim;
      if (!wantsDefaultClass(claim)) return;
      const { items } = await store.list('storage.k8s.io/storageclasses//');
      const chosen = defaultClass(items.map(({ object }) => object as unknown as StorageClass));
      if (chosen) claim.spec.storageClassName = chosen.metadata.name;
    },
  };
}
