/** CSINodes: which storage drivers run on a node. */
import type { CSINode, CSINodeDriver } from '#types';
import { child, duplicate, type FieldError, index, invalid, required } from '../../machinery/field.js';
import { validateImmutable, validateQualifiedName } from '../../machinery/validation.js';
import { ageColumn, nameColumn } from '../columns.js';
import { validateCsiDriverName } from '../core/podspec/volume-sources.js';
import { defineResource } from '../define.js';

const MAX_NODE_ID = 256;

function validate({ spec }: CSINode): FieldError[] {
  const errors: FieldError[] = [];
  const drivers = spec.drivers ?? [];
  drivers.forEach(({ name = '', nodeID = '', allocatable, topologyKeys }, i) => {
    const at = index('spec.drivers', i);
    errors.push(...validateCsiDriverName(name, child(at, 'name')));
    const id = child(at, 'nodeID');
    if (nodeID === '') errors.push(required(id, nodeID));
    if (nodeID.length > MAX_NODE_ID)
      errors.push(invalid(id, nodeID, `must be ${MAX_NODE_ID} characters or less`));
    const count = allocatable?.count;
    if (count !== undefined && count < 0)
      errors.push(invalid(child(at, 'allocatable', 'count'), count, 'must be greater than or equal to 0'));
    if (drivers.findIndex((other) => other.name === name) < i)
      errors.push(duplicate(child(at, 'name'), name));
    const keys = topologyKeys ?? [];
    keys.forEach((key, j) => {
      if (key === '') errors.push(required(at));
      if (keys.indexOf(key) < j) errors.push(duplicate(at, key));
      errors.push(...validateQualifiedName(key, at));
    });
  });
  return errors;
}

/** How many volumes a driver can attach may change (KEP-4876). */
const fixed = ({ allocatable: _, ...driver }: CSINodeDriver) => driver;

export const csiNodes = defineResource<CSINode>({
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'CSINode',
  plural: 'csinodes',
  namespaced: false,
  validate,
  validateUpdate: ({ spec }, old) =>
    (old.spec.drivers ?? []).flatMap((before) =>
      (spec.drivers ?? [])
        .filter(({ name }) => name === before.name)
        .flatMap((driver) => validateImmutable(fixed(driver), fixed(before), 'spec.drivers')),
    ),
  columns: [
    nameColumn,
    {
      name: 'Drivers',
      type: 'integer',
      description: 'How many drivers run on the node.',
      cell: ({ spec }) => (spec.drivers ?? []).length,
    },
    ageColumn,
  ],
});
