/** Devices that a container is given: which the kernel means by them. */
import { readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Device, RuntimeError } from '../types.js';

export interface DeviceRule {
  type: 'b' | 'c';
  major: number;
  minor: number;
  access: string;
}

export interface ResolvedDevice {
  rule: DeviceRule;
  /** Without links. */
  source: string;
  target: string;
}

/** All of a folder, where the source is one. @throws RuntimeError('StartFailed') for what is no device. */
export function resolveDevices(device: Device): ResolvedDevice[] {
  if (!statSync(device.source, { throwIfNoEntry: false })?.isDirectory()) return [resolveDevice(device)];
  return readdirSync(device.source, { withFileTypes: true }).flatMap((entry) => {
    const [source, target] = [join(device.source, entry.name), join(device.target, entry.name)];
    if (entry.isDirectory()) return resolveDevices({ ...device, source, target });
    const isDevice = entry.isBlockDevice() || entry.isCharacterDevice();
    return isDevice ? [resolveDevice({ ...device, source, target })] : [];
  });
}

/** @throws RuntimeError('StartFailed') for what is no device. */
export function resolveDevice({ source, target, access }: Device): ResolvedDevice {
  const found = statSync(source, { throwIfNoEntry: false });
  if (!found?.isBlockDevice() && !found?.isCharacterDevice())
    throw new RuntimeError('StartFailed', `device ${source}: ${found ? 'not a device' : 'no such file'}`);
  const type = found.isBlockDevice() ? 'b' : 'c';
  // As the C library packs them: 12 and 20 bits, and their higher halves above.
  const number = BigInt(found.rdev);
  const major = Number(((number >> 8n) & 0xfffn) | ((number >> 32n) & 0xfffff000n));
  const minor = Number((number & 0xffn) | ((number >> 12n) & 0xffffff00n));
  return { rule: { type, major, minor, access }, source: realpathSync(source), target };
}

/** As devices.allow takes it. */
export const ruleText = ({ type, major, minor, access }: DeviceRule): string =>
  `${type} ${major}:${minor} ${access}`;

/** As the shim takes it: 8 bits of type and 8 of access by the kernel's numbers, 24 of major and 24 of minor number. */
export function ruleNumber({ type, major, minor, access }: DeviceRule): bigint {
  const bits =
    (access.includes('m') ? 1 : 0) | (access.includes('r') ? 2 : 0) | (access.includes('w') ? 4 : 0);
  return (
    (BigInt(type === 'b' ? 1 : 2) << 56n) | (BigInt(bits) << 48n) | (BigInt(major) << 24n) | BigInt(minor)
  );
}
