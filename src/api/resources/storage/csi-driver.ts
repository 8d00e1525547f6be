/** CSIDrivers: what a storage driver can do and needs. */
import type { CSIDriver, StorageV1TokenRequest } from '#types';
import { child, duplicate, type FieldError, index, invalid, notSupported } from '../../machinery/field.js';
import { validateImmutable } from '../../machinery/validation.js';
import { ageColumn, nameColumn, textColumn } from '../columns.js';
import { type Column, defineResource } from '../define.js';

const GROUP_POLICIES = ['File', 'None', 'ReadWriteOnceWithFSType'];
const MODES = ['Persistent', 'Ephemeral'];
const MIN_UPDATE_PERIOD = 10;
const MIN_EXPIRATION = 600;
const MAX_EXPIRATION = 2 ** 32;

function validate({ spec }: CSIDriver): FieldError[] {
  const errors: FieldError[] = [];
  if (spec.fsGroupPolicy !== undefined && !GROUP_POLICIES.includes(spec.fsGroupPolicy))
    errors.push(notSupported('spec.fsGroupPolicy', spec.fsGroupPolicy, GROUP_POLICIES));
  errors.push(...validateTokenRequests(spec.tokenRequests ?? []));
  for (const mode of spec.volumeLifecycleModes ?? [])
    if (!MODES.includes(mode)) errors.push(notSupported('spec.volumeLifecycleModes', mode, MODES));
  const period = spec.nodeAllocatableUpdatePeriodSeconds;
  if (period !== undefined && period < MIN_UPDATE_PERIOD)
    errors.push(
      invalid(
        'spec.nodeAllocatableUpdatePeriodSeconds',
        period,
        `must be greater than or equal to ${MIN_UPDATE_PERIOD} seconds`,
      ),
    );
  return errors;
}

function validateTokenRequests(requests: StorageV1TokenRequest[]): FieldError[] {
  const errors: FieldError[] = [];
  requests.forEach(({ audience, expirationSeconds }, i) => {
    const at = index('spec.tokenRequests', i);
    if (requests.findIndex((other) => other.audience === audience) < i) {
      errors.push(duplicate(child(at, 'audience'), audience));
      return;
    }
    if (expirationSeconds === undefined) return;
    const path = child(at, 'expirationSeconds');
    if (expirationSeconds < MIN_EXPIRATION)
      errors.push(invalid(path, expirationSeconds, 'may not specify a duration less than 10 minutes'));
    if (expirationSeconds > MAX_EXPIRATION)
      errors.push(invalid(path, expirationSeconds, 'may not specify a duration larger than 2^32 seconds'));
  });
  return errors;
}

const flag = (name: string, description: string, get: (driver: CSIDriver) => unknown): Column<CSIDriver> => ({
  name,
  type: 'boolean',
  description,
  cell: get,
});

export const csiDrivers = defineResource<CSIDriver>({
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'CSIDriver',
  plural: 'csidrivers',
  namespaced: false,
  generation: true,
  defaults(driver) {
    driver.spec ??= {};
    const { spec } = driver;
    spec.attachRequired ??= true;
    spec.podInfoOnMount ??= false;
    spec.storageCapacity ??= false;
    spec.fsGroupPolicy ??= 'ReadWriteOnceWithFSType';
    if (!spec.volumeLifecycleModes?.length) spec.volumeLifecycleModes = ['Persistent'];
    spec.requiresRepublish ??= false;
    spec.seLinuxMount ??= false;
  },
  validate,
  validateUpdate: ({ spec }, old) => [
    ...validateImmutable(spec.attachRequired, old.spec.attachRequired, 'spec.attachedRequired'),
    ...validateImmutable(
      spec.volumeLifecycleModes,
      old.spec.volumeLifecycleModes,
      'spec.volumeLifecycleModes',
    ),
  ],
  columns: [
    nameColumn,
    flag('AttachRequired', 'Whether volumes are attached.', ({ spec }) => spec.attachRequired ?? true),
    flag('PodInfoOnMount', 'Whether mounts are told the pod.', ({ spec }) => spec.podInfoOnMount ?? false),
    flag('StorageCapacity', 'Whether it tells its capacity.', ({ spec }) => spec.storageCapacity ?? false),
    textColumn(
      'TokenRequests',
      'Audiences of the tokens that it gets.',
      ({ spec }) => (spec.tokenRequests ?? []).map(({ audience }) => audience).join(',') || '<unset>',
    ),
    flag('RequiresRepublish', 'Whether volumes are published again and again.', ({ spec }) =>
      Boolean(spec.requiresRepublish),
    ),
    textColumn(
      'Modes',
      'Lifecycles of its volumes.',
      ({ spec }) => (spec.volumeLifecycleModes ?? []).join(',') || '<none>',
    ),
    ageColumn,
  ],
});
