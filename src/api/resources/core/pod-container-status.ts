/** Validation of what a node tells of containers: the users they run as, and the health of their devices (KEP-4680). */
import type { Container, ContainerStatus, Pod, ResourceStatus } from '#types';
import {
  child,
  duplicate,
  type FieldError,
  forbidden,
  index,
  invalid,
  notSupported,
} from '../../machinery/field.js';
import { unixId } from '../../machinery/names.js';

const HEALTH = ['Healthy', 'Unhealthy', 'Unknown'];

/** Errors in the statuses of all kinds of containers. */
export function validateContainerStatuses({ spec, status = {} }: Pod): FieldError[] {
  const lists = [
    ['containerStatuses', spec.containers],
    ['initContainerStatuses', spec.initContainers ?? []],
    ['ephemeralContainerStatuses', undefined],
  ] as const;
  const each = (check: (status: ContainerStatus, path: string, containers?: Container[]) => FieldError[]) =>
    lists.flatMap(([list, containers]) =>
      (status[list] ?? []).flatMap((entry, i) => check(entry, index(child('status', list), i), containers)),
    );
  return [
    ...each((entry, path) => validateUser(entry, child(path, 'linux'), spec.os?.name === 'windows')),
    ...each((entry, path, containers) =>
      validateHealth(entry, child(path, 'allocatedResourcesStatus'), containers),
    ),
  ];
}

function validateUser({ user }: ContainerStatus, path: string, windows: boolean): FieldError[] {
  if (!user?.linux) return [];
  if (windows) return [forbidden(path, 'cannot be set for a windows pod')];
  const { uid, gid, supplementalGroups = [] } = user.linux;
  const id = (value: number, at: string) => unixId(value).map((message) => invalid(at, value, message));
  return [
    ...id(uid ?? 0, child(path, 'uid')),
    ...id(gid ?? 0, child(path, 'gid')),
    ...supplementalGroups.flatMap((group, i) => id(group, index(child(path, 'supplementalGroups'), i))),
  ];
}

function validateHealth(
  { name, allocatedResourcesStatus = [] }: ContainerStatus,
  path: string,
  containers: Container[] | undefined,
): FieldError[] {
  if (!containers)
    return allocatedResourcesStatus.length > 0
      ? [forbidden(path, 'must not be specified in container status')]
      : [];
  const container = containers.find((each) => each.name === name);
  return allocatedResourcesStatus.flatMap((resource, i) => [
    ...(container ? validateResourceName(resource.name, container, child(index(path, i), 'name')) : []),
    ...validateDevices(resource.resources ?? [], child(index(path, i), 'resources')),
  ]);
}

function validateResourceName(name: string, { resources }: Container, path: string): FieldError[] {
  if (!name.startsWith('claim:'))
    return resources?.requests?.[name] === undefined
      ? [invalid(path, name, "must match one of the container's resource requests")]
      : [];
  const claims = (resources?.claims ?? []).map((claim) =>
    claim.request ? `claim:${claim.name}/${claim.request}` : `claim:${claim.name}`,
  );
  const rule =
    "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty";
  return claims.includes(name) ? [] : [invalid(path, name, rule)];
}

function validateDevices(devices: NonNullable<ResourceStatus['resources']>, path: string): FieldError[] {
  return devices.flatMap(({ resourceID, health = '' }, i) => {
    const at = index(path, i);
    const errors = HEALTH.includes(health) ? [] : [notSupported(child(at, 'health'), health, HEALTH)];
    if (devices.findIndex((other) => other.resourceID === resourceID) < i)
      errors.push(duplicate(child(at, 'resourceID'), resourceID));
    return errors;
  });
}
