/** VolumeAttributesClasses: changeable parameters of volumes. */
import type { VolumeAttributesClass } from '#types';
import { forbidden } from '../../machinery/field.js';
import { sameJson } from '../../machinery/validation.js';
import { ageColumn, textColumn } from '../columns.js';
import { defineResource } from '../define.js';
import { classNameColumn, validateDriver, validateParameters } from './class-name.js';

export const volumeAttributesClasses = defineResource<VolumeAttributesClass>({
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'VolumeAttributesClass',
  plural: 'volumeattributesclasses',
  shortNames: ['vac'],
  namespaced: false,
  validate: ({ driverName, parameters }) => [
    ...validateDriver(driverName, 'driverName'),
    ...validateParameters(parameters, false),
  ],
  validateUpdate: (vac, old) =>
    (['driverName', 'parameters'] as const)
      .filter((field) => !sameJson(vac[field], old[field]))
      .map((field) => forbidden(field, `updates to ${field} are forbidden.`)),
  columns: [
    classNameColumn,
    textColumn('DriverName', 'The driver of the volumes.', (vac) => vac.driverName),
    ageColumn,
  ],
});
