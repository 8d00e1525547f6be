/** PersistentVolumeClaimResize: claims grow only where their class allows it. */
import type { PersistentVolumeClaim, StorageClass } from '#types';
import { compareQuantities } from '../../api/machinery/quantity.js';
import { storageClassOf } from '../../api/resources/core/volume-fields.js';
import type { Store } from '../../store/store.js';
import { type AdmissionPlugin, refuse } from './admission.js';

export function claimResize(store: Store): AdmissionPlugin {
  return {
    name: 'PersistentVolumeClaimResize',
    validate(request) {
      const { resource, operation, subresource, object, old } = request;
      if (resource.group !== '' || resource.plural !== 'persistentvolumeclaims') return;
      if (operation !== 'UPDATE' || subresource !== '' || !object || !old) return;
      const [claim, before] = [object, old] as unknown as PersistentVolumeClaim[];
      const size = (of: PersistentVolumeClaim | undefined) => of?.spec.resources?.requests?.['storage'];
      if (compareQuantities(size(claim), size(before)) <= 0) return;
      if (before!.status?.phase !== 'Bound')
        throw refuse(request, 'Only bound persistent volume claims can be expanded');
      const name = storageClassOf(before!);
      const storageClass = store.get(`storage.k8s.io/storageclasses//${name}`)?.object as unknown as
        | StorageClass
        | undefined;
      if (!name || !storageClass?.allowVolumeExpansion)
        throw refuse(
          request,
          'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
        );
    },
  };
}
