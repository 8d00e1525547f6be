/** What a node refuses for its kernel's sake: sysctls that would touch other pods, AppArmor where there is none (kubelet). */
import { existsSync, readFileSync } from 'node:fs';
import type { Pod } from '#types';
import type { Rejection } from './admission.js';

/** They act within a pod's own namespaces, and harm nobody else. */
const SAFE_SYSCTLS = [
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ping_group_range',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.tcp_wmem',
];
const IPC = /^(kernel\.(shm|msg)|kernel\.sem$|fs\.mqueue\.)/;

/** `unsafe`: names, or starts of names that end with `*`, that the node's owner allows on top. */
export function admitSysctls({ spec }: Pod, unsafe: string[]): Rejection | undefined {
  for (const { name: given } of spec.securityContext?.sysctls ?? []) {
    const name = given.includes('/') ? given.replaceAll('/', '.') : given;
    const allows = (pattern: string) =>
      pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : pattern === name;
    const why = !(SAFE_SYSCTLS.includes(name) || unsafe.some(allows))
      ? 'not allowlisted'
      : spec.hostNetwork && name.startsWith('net.')
        ? 'not allowed with host net enabled'
        : spec.hostIPC && IPC.test(name)
          ? 'not allowed with host ipc enabled'
          : undefined;
    if (why) return { reason: 'SysctlForbidden', message: `forbidden sysctl: "${name}" ${why}` };
  }
  return undefined;
}

export function appArmorIsOn(parameter = '/sys/module/apparmor/parameters/enabled'): boolean {
  return existsSync(parameter) && readFileSync(parameter, 'utf8').startsWith('Y');
}

/** A profile that is asked for is put on, or the pod does not run. */
export function admitAppArmor({ spec }: Pod, isOn = appArmorIsOn()): Rejection | undefined {
  const contexts = [spec, ...(spec.initContainers ?? []), ...spec.containers].map((o) => o.securityContext);
  const asked = contexts.some((c) => c?.appArmorProfile && c.appArmorProfile.type !== 'Unconfined');
  if (!asked) return undefined;
  const why = isOn ? 'the container runtime cannot put profiles on' : 'AppArmor is not enabled on the host';
  return { reason: 'AppArmor', message: `Cannot enforce AppArmor: ${why}` };
}
