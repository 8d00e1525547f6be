/** Numbers of the shim's protocol, as native/shim/protocol.h has them; native/shim/PROTOCOL.md tells what they mean. */

/** What a frame is. */
export const Type = {
  setup: 1,
  hello: 2,
  start: 3,
  signal: 4,
  remove: 5,
  reopen: 6,
  exec: 7,
  attach: 8,
  shutdown: 9,
  stdin: 16,
  stdinEnd: 17,
  resize: 18,
  ok: 32,
  error: 33,
  exit: 34,
  stdout: 35,
  stderr: 36,
  ended: 37,
} as const;

/** What a field is. */
export const Tag = {
  id: 1,
  message: 2,
  pid: 3,
  createdAt: 4,
  startedAt: 5,
  finishedAt: 6,
  exitCode: 7,
  signal: 8,
  oomKilled: 9,
  container: 10,
  state: 11,
  flags: 12,
  hostname: 13,
  sysctl: 14,
  cgroupProcs: 15,
  cgroupKill: 16,
  oomFile: 17,
  logPath: 18,
  arg: 19,
  env: 20,
  cwd: 21,
  uid: 22,
  gid: 23,
  group: 24,
  capabilities: 25,
  seccomp: 26,
  seccompCache: 27,
  seccompRules: 28,
  oomScoreAdj: 29,
  lower: 30,
  upper: 31,
  work: 32,
  root: 33,
  mount: 34,
  mountKind: 35,
  source: 36,
  target: 37,
  fsType: 38,
  data: 39,
  mountFlags: 40,
  propagation: 41,
  masked: 42,
  readOnlyPath: 43,
  rlimit: 44,
  columns: 45,
  rows: 46,
  version: 47,
  deviceCgroup: 48,
  pidsOf: 49,
  userBase: 50,
  userSize: 51,
  device: 52,
} as const;

/** Bits of `Tag.flags` in a setup. */
export const SandboxFlag = { network: 1, podPid: 2, ipc: 4, hostPid: 8 } as const;

/** Bits of `Tag.flags` in start, exec and attach. */
export const ProcessFlag = {
  tty: 1,
  stdin: 2,
  stdinOnce: 4,
  noNewPrivileges: 8,
  readOnlyRoot: 16,
  allDevices: 32,
  stdout: 64,
  stderr: 128,
} as const;

export const MountKind = { bind: 1, filesystem: 2, shm: 3 } as const;
export const Propagation = { private: 0, rslave: 1, rshared: 2 } as const;
export const Seccomp = { unconfined: 0, default: 1, rules: 2 } as const;

/** Data frames carry at most this many bytes. */
export const MAX_DATA = 64 << 10;
/** A frame's length may not exceed this. */
export const MAX_FRAME = 4 << 20;
/** u32 length of what follows, u8 type, u32 request. */
export const HEADER = 9;
