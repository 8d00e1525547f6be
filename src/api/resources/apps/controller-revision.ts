/** ControllerRevisions: what a workload's template was. */
import type { ControllerRevision } from '#types';
import { type FieldError, required } from '../../machinery/field.js';
import { parseApiVersion } from '../../machinery/types.js';
import { validateImmutable, validateNonnegative } from '../../machinery/validation.js';
import { ageColumn, nameColumn } from '../columns.js';
import { defineResource } from '../define.js';

function validate(revision: ControllerRevision): FieldError[] {
  const errors = validateNonnegative(revision.revision, 'revision');
  if (revision.data === undefined || revision.data === null)
    errors.unshift(required('data', 'data is mandatory'));
  return errors;
}

function controller(revision: ControllerRevision): string {
  const owner = revision.metadata.ownerReferences?.find((reference) => reference.controller);
  if (!owner) return '<none>';
  const { group } = parseApiVersion(owner.apiVersion);
  return `${owner.kind.toLowerCase()}${group === '' ? '' : `.${group}`}/${owner.name}`;
}

export const controllerRevisions = defineResource<ControllerRevision>({
  group: 'apps',
  version: 'v1',
  kind: 'ControllerRevision',
  plural: 'controllerrevisions',
  namespaced: true,
  validate,
  validateUpdate: (revision, old) => validateImmutable(revision.data, old.data, 'data'),
  columns: [
    nameColumn,
    {
      name: 'Controller',
      type: 'string',
      description: 'Workload that the revision belongs to.',
      cell: controller,
    },
    {
      name: 'Revision',
      type: 'string',
      description: 'Number of the revision.',
      cell: (revision) => revision.revision ?? 0,
    },
    ageColumn,
  ],
});
