/** The status of ResourceClaims: what is allocated, for whom, and how the devices are. */
import { isIP } from 'node:net';
import type {
  AllocatedDeviceStatus,
  AllocationResult,
  ResourceV1ResourceClaim as ResourceClaim,
  ResourceClaimConsumerReference,
} from '#types';
import { validateConditions } from '../../machinery/conditions.js';
import {
  child,
  type FieldError,
  forbidden,
  invalid,
  notSupported,
  required,
  tooLong,
  tooMany,
} from '../../machinery/field.js';
import { validateImmutable } from '../../machinery/validation.js';
import { validateNodeSelector } from '../core/podspec/validate-affinity.js';
import { requestNames, validateRequestRef, validateRequestRefs } from './claim-spec.js';
import {
  DEVICE_CONFIG_MAX,
  validateConfiguration,
  validateDeviceName,
  validateDriverName,
  validatePoolName,
  validateRaw,
  validateSet,
  validateSlice,
} from './common.js';
import { validateBinding } from './device.js';

const RESERVED_FOR_MAX = 256;
const RESULTS_MAX = 32;
const CONDITIONS_MAX = 8;
const IPS_MAX = 16;
const INTERFACE_NAME_MAX = 256;
const HARDWARE_ADDRESS_MAX = 128;
const SOURCES = ['FromClaim', 'FromClass'];

interface DeviceId {
  driver: string;
  pool: string;
  device: string;
  shareID?: string;
}

/** Of a device that several share, each has a share of its own. */
const deviceId = ({ driver, pool, device, shareID }: DeviceId): string =>
  [driver, pool, device, ...(shareID === undefined ? [] : [shareID])].join('/');

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Other ways to write one. */
const ANY_UUID = /^(?:urn:uuid:)?[{]?[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}[}]?$/i;

function validateShareId(id: string | undefined, path: string): FieldError[] {
  if (id === undefined || UUID.test(id)) return [];
  if (ANY_UUID.test(id))
    return [
      invalid(
        path,
        id,
        'uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters',
      ),
    ];
  const problem = id.length === 36 ? 'invalid UUID format' : `invalid UUID length: ${id.length}`;
  return [invalid(path, id, `error validating uid: ${problem}`)];
}

const allocated = (allocation: AllocationResult | undefined): Set<string> =>
  new Set((allocation?.devices?.results ?? []).map(deviceId));

/** Statuses of devices go with their allocation. */
export function dropDeallocated(claim: ResourceClaim, old: ResourceClaim): void {
  const { status } = claim;
  if (!status?.devices) return;
  const before = allocated(old.status?.allocation);
  const now = allocated(status.allocation);
  const kept = status.devices.filter((device) => now.has(deviceId(device)) || !before.has(deviceId(device)));
  if (kept.length > 0) status.devices = kept;
  else delete status.devices;
}

export function validateClaimStatus(claim: ResourceClaim, old: ResourceClaim): FieldError[] {
  const status = claim.status ?? {};
  const before = old.status ?? {};
  const errors = validateSet(
    status.reservedFor,
    RESERVED_FOR_MAX,
    'status.reservedFor',
    validateConsumer,
    ({ uid }) => uid,
  );
  const devices = allocated(status.allocation);
  errors.push(
    ...validateSet(
      status.devices,
      Number.POSITIVE_INFINITY,
      'status.devices',
      (device, at) => validateDeviceStatus(device, at, devices),
      deviceId,
    ),
    ...validateReservations(claim, old),
  );
  if (before.allocation && status.allocation)
    errors.push(...validateImmutable(status.allocation, before.allocation, 'status.allocation'));
  else if (status.allocation)
    errors.push(
      ...validateAllocation(status.allocation, 'status.allocation', requestNames(claim.spec.devices)),
    );
  return errors;
}

function validateReservations(claim: ResourceClaim, old: ResourceClaim): FieldError[] {
  const reserved = claim.status?.reservedFor ?? [];
  if (reserved.length === 0) return [];
  if (!claim.status?.allocation)
    return [forbidden('status.reservedFor', 'may not be specified when `allocated` is not set')];
  const known = new Set((old.status?.reservedFor ?? []).map(({ uid }) => uid));
  if (claim.metadata.deletionTimestamp === undefined || reserved.every(({ uid }) => known.has(uid)))
    return [];
  return [
    forbidden(
      'status.reservedFor',
      'new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set',
    ),
  ];
}

const validateConsumer = (
  { resource, name, uid }: ResourceClaimConsumerReference,
  path: string,
): FieldError[] =>
  Object.entries({ resource, name, uid }).flatMap(([field, value]) =>
    value ? [] : [required(child(path, field))],
  );

function validateAllocation(allocation: AllocationResult, path: string, names: Set<string>): FieldError[] {
  const { devices, nodeSelector } = allocation;
  const at = child(path, 'devices');
  return [
    ...validateSlice(devices?.results, RESULTS_MAX, child(at, 'results'), (result, where) => [
      ...validateRequestRef(result.request, child(where, 'request'), names),
      ...validateDriverName(result.driver, child(where, 'driver')),
      ...validatePoolName(result.pool, child(where, 'pool')),
      ...validateDeviceName(result.device, child(where, 'device')),
      ...validateBinding(result, where),
      ...validateShareId(result.shareID, child(where, 'shareID')),
    ]),
    ...validateSlice(devices?.config, 2 * DEVICE_CONFIG_MAX, child(at, 'config'), (config, where) => [
      ...validateSource(config.source ?? '', child(where, 'source')),
      ...validateRequestRefs(config.requests, where, names),
      ...validateConfiguration(config, where),
    ]),
    ...(nodeSelector ? validateNodeSelector(nodeSelector, child(path, 'nodeSelector'), false) : []),
  ];
}

function validateSource(source: string, path: string): FieldError[] {
  if (source === '') return [required(path)];
  return SOURCES.includes(source) ? [] : [notSupported(path, source, SOURCES)];
}

function validateDeviceStatus(device: AllocatedDeviceStatus, path: string, known: Set<string>): FieldError[] {
  const errors = [
    ...validateDriverName(device.driver, child(path, 'driver')),
    ...validatePoolName(device.pool, child(path, 'pool')),
    ...validateDeviceName(device.device, child(path, 'device')),
    ...validateShareId(device.shareID, child(path, 'shareID')),
  ];
  if (!known.has(deviceId(device)))
    errors.push(invalid(path, deviceId(device), 'must be an allocated device in the claim'));
  const conditions = device.conditions ?? [];
  if (conditions.length > CONDITIONS_MAX)
    errors.push(tooMany(child(path, 'conditions'), conditions.length, CONDITIONS_MAX));
  errors.push(...validateConditions(conditions, child(path, 'conditions')));
  if (device.data !== undefined) errors.push(...validateRaw(device.data, child(path, 'data')));
  return [...errors, ...validateNetwork(device.networkData, child(path, 'networkData'))];
}

function validateNetwork(data: AllocatedDeviceStatus['networkData'], path: string): FieldError[] {
  if (!data) return [];
  const errors: FieldError[] = [];
  if ((data.interfaceName ?? '').length > INTERFACE_NAME_MAX)
    errors.push(tooLong(child(path, 'interfaceName'), INTERFACE_NAME_MAX));
  if ((data.hardwareAddress ?? '').length > HARDWARE_ADDRESS_MAX)
    errors.push(tooLong(child(path, 'hardwareAddress'), HARDWARE_ADDRESS_MAX));
  const validateAddress = (ip: string, at: string): FieldError[] =>
    isInterfaceAddress(ip)
      ? []
      : [invalid(at, ip, 'must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)')];
  return [...errors, ...validateSet(data.ips, IPS_MAX, child(path, 'ips'), validateAddress, (ip) => ip)];
}

function isInterfaceAddress(text: string): boolean {
  const [ip = '', bits = '', ...rest] = text.split('/');
  const max = { 4: 32, 6: 128 }[isIP(ip)];
  return max !== undefined && rest.length === 0 && /^(0|[1-9]\d{0,2})$/.test(bits) && Number(bits) <= max;
}
