/** RuntimeClasses: ways to run containers. */
import type { RuntimeClass } from '#types';
import type { FieldError } from '../../machinery/field.js';
import { dns1123Label } from '../../machinery/names.js';
import { checked, validateImmutable, validateLabels } from '../../machinery/validation.js';
import { ageColumn, nameColumn, textColumn } from '../columns.js';
import { validateOverhead } from '../core/podspec/validate-resources.js';
import { validateTolerations } from '../core/podspec/validate-scheduling.js';
import { nodeLabelWarnings } from '../core/podspec/warnings.js';
import { defineResource } from '../define.js';

function validate({ handler, overhead, scheduling }: RuntimeClass): FieldError[] {
  const errors = checked('handler', handler ?? '', dns1123Label);
  if (overhead) errors.push(...validateOverhead(overhead.podFixed ?? {}, 'overhead.podFixed'));
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
  warnings: ({ scheduling }) => nodeLabelWarnings(scheduling?.nodeSelector, 'scheduling.nodeSelector'),
  validateUpdate: (runtimeClass, old) => validateImmutable(runtimeClass.handler, old.handler, 'handler'),
  columns: [
    nameColumn,
    textColumn('Handler', 'What the node calls it.', (runtimeClass) => runtimeClass.handler),
    ageColumn,
  ],
});
