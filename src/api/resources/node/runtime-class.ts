/** RuntimeClasses: ways to run containers. */
import type { RuntimeClass } from '#types';
import { type FieldError, invalid, key } from '../../machinery/field.js';
import { dns1123Label } from '../../machinery/names.js';
import { compareQuantities } from '../../machinery/quantity.js';
import { checked, validateImmutable, validateLabels } from '../../machinery/validation.js';
import { ageColumn, nameColumn, textColumn } from '../columns.js';
import { validateTolerations } from '../core/podspec/validate-scheduling.js';
import { defineResource } from '../define.js';

function validate({ handler, overhead, scheduling }: RuntimeClass): FieldError[] {
  const errors = checked('handler', handler ?? '', dns1123Label);
  for (const [name, quantity] of Object.entries(overhead?.podFixed ?? {}))
    if (compareQuantities(quantity, 0) < 0)
      errors.push(invalid(key('overhead.podFixed', name), quantity, 'must be greater than or equal to 0'));
  if (scheduling)
    errors.push(
      ...validateLabels(scheduling.nodeSelector, 'scheduling.nodeSelector'),
      ...validateTolerations(scheduling.tolerations, 'scheduling.tolerations'),
    );
  return errors;
}

export const runtimeClasses = defineResource<RuntimeClass>({
  group: 'node.k8s.io',
  version: 'v1',
  kind: 'RuntimeClass',
  plural: 'runtimeclasses',
  namespaced: false,
  validate,
  validateUpdate: (runtimeClass, old) => validateImmutable(runtimeClass.handler, old.handler, 'handler'),
  columns: [
    nameColumn,
    textColumn('Handler', 'What the node calls it.', (runtimeClass) => runtimeClass.handler),
    ageColumn,
  ],
});
