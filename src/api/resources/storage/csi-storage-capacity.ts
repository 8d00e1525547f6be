/** CSIStorageCapacities: how much storage of a class there is in a part of the cluster. */
import type { CSIStorageCapacity } from '#types';
import { type FieldError, invalid } from '../../machinery/field.js';
import { dns1123Subdomain } from '../../machinery/names.js';
import { compareQuantities } from '../../machinery/quantity.js';
import { checked, validateImmutable, validateLabelSelector } from '../../machinery/validation.js';
import { nameColumn, textColumn } from '../columns.js';
import { defineResource } from '../define.js';

const nonnegative = (quantity: string | undefined, path: string): FieldError[] =>
  compareQuantities(quantity, 0) < 0 ? [invalid(path, quantity, 'must be greater than or equal to 0')] : [];

export const csiStorageCapacities = defineResource<CSIStorageCapacity>({
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'CSIStorageCapacity',
  plural: 'csistoragecapacities',
  namespaced: true,
  defaults(capacity) {
    capacity.storageClassName ??= '';
  },
  validate: ({ nodeTopology, storageClassName, capacity }) => [
    ...validateLabelSelector(nodeTopology, 'nodeTopology'),
    ...checked('storageClassName', storageClassName, dns1123Subdomain),
    ...nonnegative(capacity, 'capacity'),
  ],
  validateUpdate: (capacity, old) => [
    ...validateImmutable(capacity.nodeTopology, old.nodeTopology, 'nodeTopology'),
    ...validateImmutable(capacity.storageClassName, old.storageClassName, 'storageClassName'),
  ],
  columns: [
    nameColumn,
    textColumn('StorageClassName', 'Class of the storage.', (c) => c.storageClassName),
    textColumn('Capacity', 'How much there is.', (c) => c.capacity ?? '<unset>'),
  ],
});
