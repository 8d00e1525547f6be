/** StorageObjectInUseProtection: new claims, volumes and their classes get the finalizer that protects them while they are used. */
import {
  ATTRIBUTES_CLASS_PROTECTION,
  CLAIM_PROTECTION,
  VOLUME_PROTECTION,
} from '../../api/storage/annotations.js';
import type { AdmissionPlugin } from './admission.js';

const FINALIZERS: Record<string, string> = {
  '/persistentvolumeclaims': CLAIM_PROTECTION,
  '/persistentvolumes': VOLUME_PROTECTION,
  'storage.k8s.io/volumeattributesclasses': ATTRIBUTES_CLASS_PROTECTION,
};

export const storageProtection: AdmissionPlugin = {
  name: 'StorageObjectInUseProtection',
  admit({ resource, operation, subresource, object }) {
    if (operation !== 'CREATE' || subresource !== '' || !object) return;
    const finalizer = FINALIZERS[`${resource.group}/${resource.plural}`];
    if (finalizer === undefined || object.metadata.finalizers?.includes(finalizer)) return;
    object.metadata.finalizers = [...(object.metadata.finalizers ?? []), finalizer];
  },
};
