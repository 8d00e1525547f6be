/** DeviceClasses: kinds of devices that claims ask for, and how they are configured. */
import type { DeviceClass } from '#types';
import { type FieldError, invalid } from '../../machinery/field.js';
import { ageColumn, nameColumn } from '../columns.js';
import { defineResource } from '../define.js';
import { DEVICE_CONFIG_MAX, validateConfiguration, validateSelectors, validateSlice } from './common.js';

const EXTENDED_RESOURCE =
  /^(?!requests\.)(?!([^/]*\.)?kubernetes\.io\/)[a-z0-9.-]+\/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;

const validateExtendedName = (name: string | undefined): FieldError[] =>
  name === undefined || EXTENDED_RESOURCE.test(name)
    ? []
    : [invalid('spec.extendedResourceName', name, 'must be a valid extended resource name')];

export const deviceClasses = defineResource<DeviceClass>({
  group: 'resource.k8s.io',
  version: 'v1',
  kind: 'DeviceClass',
  plural: 'deviceclasses',
  namespaced: false,
  generation: true,
  validate: ({ spec }) => [
    ...validateSelectors(spec.selectors, 'spec.selectors'),
    ...validateSlice(spec.config, DEVICE_CONFIG_MAX, 'spec.config', validateConfiguration),
    ...validateExtendedName(spec.extendedResourceName),
  ],
  columns: [nameColumn, ageColumn],
});
