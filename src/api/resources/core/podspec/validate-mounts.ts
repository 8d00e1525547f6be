/** Validation of where a container mounts volumes and devices. */
import type { Container, EphemeralContainer, Volume, VolumeDevice, VolumeMount } from '#types';
import {
  child,
  type FieldError,
  forbidden,
  index,
  invalid,
  notFound,
  notSupported,
  required,
} from '../../../machinery/field.js';
import { validateDescending, validateNoBacksteps } from './paths.js';

/** The valid volumes of a pod, by name. */
export type Volumes = Map<string, Volume>;

export function validateMounts(
  container: Container | EphemeralContainer,
  volumes: Volumes,
  path: string,
): FieldError[] {
  const devices = container.volumeDevices ?? [];
  const seen = new Set<string>();
  return (container.volumeMounts ?? []).flatMap((mount, i) => {
    const at = index(path, i);
    const errors: FieldError[] = [];
    if (!mount.name) errors.push(required(child(at, 'name')));
    if (!volumes.has(mount.name)) errors.push(notFound(child(at, 'name'), mount.name ?? ''));
    if (!mount.mountPath) errors.push(required(child(at, 'mountPath')));
    if (seen.has(mount.mountPath))
      errors.push(invalid(child(at, 'mountPath'), mount.mountPath, 'must be unique'));
    seen.add(mount.mountPath);
    if (devices.some((d) => d.name === mount.name))
      errors.push(invalid(child(at, 'name'), mount.name, 'must not already exist in volumeDevices'));
    if (devices.some((d) => d.devicePath === mount.mountPath))
      errors.push(
        invalid(child(at, 'mountPath'), mount.mountPath, 'must not already exist as a path in volumeDevices'),
      );
    if (mount.subPath) errors.push(...validateDescending(mount.subPath, child(path, 'subPath')));
    if (mount.subPathExpr) {
      if (mount.subPath)
        errors.push(
          invalid(
            child(at, 'subPathExpr'),
            mount.subPathExpr,
            'subPathExpr and subPath are mutually exclusive',
          ),
        );
      errors.push(...validateDescending(mount.subPathExpr, child(path, 'subPathExpr')));
    }
    errors.push(...validatePropagation(mount, container, child(path, 'mountPropagation')));
    errors.push(...validateRecursiveReadOnly(mount, child(path, 'recursiveReadOnly')));
    return errors;
  });
}

function validatePropagation(
  mount: VolumeMount,
  container: Container | EphemeralContainer,
  path: string,
): FieldError[] {
  const mode = mount.mountPropagation;
  if (mode === undefined) return [];
  const supported = ['Bidirectional', 'HostToContainer', 'None'];
  const errors = supported.includes(mode) ? [] : [notSupported(path, mode, supported)];
  if (mode === 'Bidirectional' && !container.securityContext?.privileged)
    errors.push(
      forbidden(path, 'Bidirectional mount propagation is available only to privileged containers'),
    );
  return errors;
}

function validateRecursiveReadOnly(mount: VolumeMount, path: string): FieldError[] {
  const mode = mount.recursiveReadOnly;
  if (mode === undefined || mode === 'Disabled') return [];
  if (mode !== 'Enabled' && mode !== 'IfPossible')
    return [notSupported(path, mode, ['Disabled', 'Enabled', 'IfPossible'])];
  const errors: FieldError[] = [];
  if (!mount.readOnly) errors.push(forbidden(path, 'may only be specified when readOnly is true'));
  if (mount.mountPropagation !== undefined && mount.mountPropagation !== 'None')
    errors.push(forbidden(path, 'may only be specified when mountPropagation is None or not specified'));
  return errors;
}

export function validateDevices(
  container: Container | EphemeralContainer,
  volumes: Volumes,
  path: string,
): FieldError[] {
  const mounts = container.volumeMounts ?? [];
  const names = new Set<string>();
  const paths = new Set<string>();
  return (container.volumeDevices ?? []).flatMap((device: VolumeDevice, i) => {
    const at = index(path, i);
    const volume = volumes.get(device.name);
    const errors: FieldError[] = [];
    const wrong = (field: 'name' | 'devicePath', detail: string) =>
      errors.push(invalid(child(at, field), device[field], detail));
    if (!device.name) errors.push(required(child(at, 'name')));
    if (names.has(device.name)) wrong('name', 'must be unique');
    if (volume && !volume.persistentVolumeClaim && !volume.ephemeral)
      wrong('name', 'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode');
    if (!volume) errors.push(notFound(child(at, 'name'), device.name ?? ''));
    if (!device.devicePath) errors.push(required(child(at, 'devicePath')));
    if (paths.has(device.devicePath)) wrong('devicePath', 'must be unique');
    if (validateNoBacksteps(device.devicePath ?? '', '').length > 0)
      wrong('devicePath', "can not contain backsteps ('..')");
    else paths.add(device.devicePath);
    if (mounts.some((m) => m.name === device.name)) wrong('name', 'must not already exist in volumeMounts');
    if (mounts.some((m) => m.mountPath === device.devicePath))
      wrong('devicePath', 'must not already exist as a path in volumeMounts');
    names.add(device.name);
    return errors;
  });
}
