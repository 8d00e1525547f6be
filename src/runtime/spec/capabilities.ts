/** Linux capabilities as bit sets, and the set that a container gets. */

/** In the order of their numbers, see linux/capability.h. */
const NAMES =
  `CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`.split(/\s+/);

export const ALL_CAPABILITIES = (1n << BigInt(NAMES.length)) - 1n;

/** What containerd gives a container. */
const DEFAULT = capabilitySet([
  ...['CHOWN', 'DAC_OVERRIDE', 'FSETID', 'FOWNER', 'MKNOD', 'NET_RAW', 'SETGID', 'SETUID', 'SETFCAP'],
  ...['SETPCAP', 'NET_BIND_SERVICE', 'SYS_CHROOT', 'KILL', 'AUDIT_WRITE'],
]);

/** The bits of capabilities by name, with or without `CAP_`. Throws a RangeError for an unknown name. */
export function capabilitySet(names: string[]): bigint {
  let set = 0n;
  for (const name of names) {
    const bit = NAMES.indexOf(name.toUpperCase().replace(/^CAP_/, ''));
    if (bit < 0) throw new RangeError(`unknown capability "${name}"`);
    set |= 1n << BigInt(bit);
  }
  return set;
}

/** `ALL` in `add` starts from all, in `drop` from none; the other names of both are then added and dropped. */
export function containerCapabilities(add: string[], drop: string[]): bigint {
  const isAll = (name: string) => name.toUpperCase() === 'ALL';
  const rest = (names: string[]) => capabilitySet(names.filter((name) => !isAll(name)));
  let set = DEFAULT;
  if (add.some(isAll)) set = ALL_CAPABILITIES;
  if (drop.some(isAll)) set = 0n;
  return (set | rest(add)) & ~rest(drop);
}
