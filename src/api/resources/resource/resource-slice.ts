/** ResourceSlices: the devices that a driver has on a node, or for several. */
import type { Device, ResourceSlice } from '#types';
import { child, type FieldError, invalid, required } from '../../machinery/field.js';
import { dns1123Subdomain } from '../../machinery/names.js';
import { checked, validateImmutable } from '../../machinery/validation.js';
import { ageColumn, nameColumn, textColumn } from '../columns.js';
import { validateNodeSelector } from '../core/podspec/validate-affinity.js';
import { defineResource } from '../define.js';
import { validateDriverName, validatePoolName, validateSet } from './common.js';
import { validateCounters, validateDevice, validateSetName } from './device.js';

const DEVICES_MAX = 128;
/** Devices with taints or counters are larger. */
const LARGE_DEVICES_MAX = 64;
const COUNTER_SETS_MAX = 8;
const PLACES = '`nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection`';

const isLarge = ({ taints, consumesCounters }: Device): boolean =>
  (taints?.length ?? 0) > 0 || (consumesCounters?.length ?? 0) > 0;

function validate({ spec }: ResourceSlice): FieldError[] {
  const { pool, devices = [] } = spec;
  const errors = [
    ...validateDriverName(spec.driver ?? '', 'spec.driver'),
    ...validatePoolName(pool?.name ?? '', 'spec.pool.name'),
  ];
  if ((pool?.resourceSliceCount ?? 0) <= 0)
    errors.push(
      invalid('spec.pool.resourceSliceCount', pool?.resourceSliceCount ?? 0, 'must be greater than zero'),
    );
  if ((pool?.generation ?? 0) < 0)
    errors.push(invalid('spec.pool.generation', pool.generation, 'must be greater than or equal to zero'));
  const perDevice = spec.perDeviceNodeSelection === true;
  return [
    ...errors,
    ...validatePlace(spec),
    ...(spec.sharedCounters && spec.devices
      ? [invalid('spec', '', 'only one of `sharedCounters` or `devices` is allowed')]
      : []),
    ...validateSet(
      devices,
      devices.some(isLarge) ? LARGE_DEVICES_MAX : DEVICES_MAX,
      'spec.devices',
      (device, path) => validateDevice(device, path, perDevice),
      ({ name }) => name,
    ),
    ...validateSet(
      spec.sharedCounters,
      COUNTER_SETS_MAX,
      'spec.sharedCounters',
      ({ name, counters }, path) => [
        ...validateSetName(name, child(path, 'name')),
        ...validateCounters(counters, child(path, 'counters')),
      ],
      ({ name }) => name,
    ),
  ];
}

/** Where the devices can be reached from. */
function validatePlace(spec: ResourceSlice['spec']): FieldError[] {
  const { nodeName, nodeSelector } = spec;
  const errors: FieldError[] = [];
  const given: string[] = [];
  if (nodeName !== undefined) {
    if (nodeName !== '') given.push('`nodeName`');
    errors.push(
      ...(nodeName === ''
        ? [invalid('spec.nodeName', nodeName, 'must be either unset or set to a non-empty string')]
        : checked('spec.nodeName', nodeName, dns1123Subdomain)),
    );
  }
  if (nodeSelector) {
    given.push('`nodeSelector`');
    errors.push(...validateNodeSelector(nodeSelector, 'spec.nodeSelector', false));
    const terms = nodeSelector.nodeSelectorTerms ?? [];
    if (terms.length !== 1)
      errors.push(
        invalid('spec.nodeSelector.nodeSelectorTerms', terms, 'must have exactly one node selector term'),
      );
  }
  for (const field of ['allNodes', 'perDeviceNodeSelection'] as const) {
    if (spec[field]) given.push(`\`${field}\``);
    if (spec[field] === false)
      errors.push(invalid(`spec.${field}`, false, 'must be either unset or set to true'));
  }
  if (given.length === 0) errors.push(required('spec', `exactly one of ${PLACES} is required`));
  if (given.length > 1)
    errors.push(
      invalid(
        'spec',
        `{${given.join(', ')}}`,
        `exactly one of ${PLACES} is required, but multiple fields are set`,
      ),
    );
  return errors;
}

export const resourceSlices = defineResource<ResourceSlice>({
  group: 'resource.k8s.io',
  version: 'v1',
  kind: 'ResourceSlice',
  plural: 'resourceslices',
  namespaced: false,
  generation: true,
  validate,
  validateUpdate: ({ spec }, old) => [
    ...validateImmutable(spec.pool.name, old.spec.pool.name, 'spec.pool.name'),
    ...validateImmutable(spec.driver, old.spec.driver, 'spec.driver'),
    ...validateImmutable(spec.nodeName, old.spec.nodeName, 'spec.nodeName'),
  ],
  fields: {
    'spec.driver': ({ spec }) => spec.driver,
    'spec.nodeName': ({ spec }) => spec.nodeName ?? '',
  },
  columns: [
    nameColumn,
    textColumn('Node', 'The node whose devices these are, if it is one.', ({ spec }) => spec.nodeName ?? ''),
    textColumn('Driver', 'The driver of the devices.', ({ spec }) => spec.driver),
    textColumn('Pool', 'The pool that the slice is part of.', ({ spec }) => spec.pool.name),
    ageColumn,
  ],
});
