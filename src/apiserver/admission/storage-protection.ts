/** StorageObjectInUseProtection: new claims and volumes get the finalizer that protects them while they are used. */
import { CLAIM_PROTECTION, VOLUME_PROTECTION } from '../../api/storage/annotations.js';
import type { AdmissionPlugin } from './admission.js';

const FINALIZERS: Record<string, string> = {
  persistentvolumeclaims: CLAIM_PROTECTION,
  persistentvolumes: VOLUME_PROTECTION,
};

export const storageProtection: AdmissionPlugin = {
  name: 'StorageObjectInUseProtection',
  admit({ resource, operation, subresource, object }) {
    if (resource.group !== '' || operation !== 'CREATE' || subresource !== '' || !object) return;
    const finalizer = FINALIZERS[resource.plural];
    if (finalizer === undefined || object.metadata.finalizers?.includes(finalizer)) return;
    object.metadata.finalizers = [...(object.metadata.finalizers ?? []), finalizer];
  },
};
