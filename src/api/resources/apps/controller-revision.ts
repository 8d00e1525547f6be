/** ControllerRevisions: what a workload's template was. */
import type { ControllerRevision } from '#types';
import { type FieldError, required } from '../../machinery/field.js';
import { parseApiVersion } from '../../machinery/types.js';
import { validateImmutable, validateNonnegative } from '../../machinery/validation.js';
import { ageColumn, nameColumn } from '../columns.js';
import { defineResource } from '../define.js';

function validateCreate({ data }: ControllerRevision): FieldError[] {
  if (data === undefined || data === null) return [required('data', 'data is mandatory')];
  const isObject = typeof data === 'object' && !Array.isArray(data);
  return isObject ? [] : [required('data', 'data must be a valid JSON object')];
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
  validate: ({ revision }) => validateNonnegative(revision, 'revision'),
  validateCreate,
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
