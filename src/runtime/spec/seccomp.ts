/** Seccomp profiles in the JSON form of Docker and Kubernetes, turned into rules for the shim. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { resolve } from 'node:path';
import { Tag } from '../shim/protocol.js';
import { FieldWriter } from '../shim/wire.js';
import { RuntimeError } from '../types.js';

interface Argument {
  index: number;
  value: number;
  valueTwo?: number;
  op: string;
}

interface Rule {
  name?: string;
  names?: string[];
  action: string;
  errnoRet?: number;
  args?: Argument[] | null;
}

interface Profile {
  defaultAction: string;
  defaultErrnoRet?: number;
  syscalls?: Rule[];
}

/** Of seccomp.h; those with a value take it in the low 16 bits. */
const ACTIONS: Record<string, number> = {
  SCMP_ACT_KILL: 0,
  SCMP_ACT_KILL_THREAD: 0,
  SCMP_ACT_KILL_PROCESS: 0x80000000,
  SCMP_ACT_TRAP: 0x00030000,
  SCMP_ACT_ERRNO: 0x00050000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: 0x7fff0000,
};

const OPERATORS: Record<string, number> = {
  SCMP_CMP_NE: 1,
  SCMP_CMP_LT: 2,
  SCMP_CMP_LE: 3,
  SCMP_CMP_EQ: 4,
  SCMP_CMP_GE: 5,
  SCMP_CMP_GT: 6,
  SCMP_CMP_MASKED_EQ: 7,
};

/** Where a relative path starts, as upstream's kubelet has it by default. */
const PROFILES = '/var/lib/kubelet/seccomp';

/** Reads a profile file. Throws RuntimeError('Invalid') when it can't be used, in the words of containerd. */
export function readProfile(path: string): { rules: FieldWriter; digest: string } {
  const file = resolve(PROFILES, path);
  const text = attempt(`cannot load seccomp profile "${file}"`, () => readFileSync(file, 'utf8'));
  const digest = createHash('sha256').update(text).digest('hex');
  return attempt(`decoding seccomp profile failed "${file}"`, () => ({
    ...{ rules: profileRules(JSON.parse(text)), digest },
  }));
}

function attempt<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const { code, syscall, path, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? `${syscall} ${path}: no such file or directory` : message;
    throw new RuntimeError('Invalid', `${what}: ${why}`);
  }
}

export function profileRules(profile: Profile): FieldWriter {
  const fields = new FieldWriter().bytes(
    Tag.data,
    number64(action(profile.defaultAction, profile.defaultErrnoRet)),
  );
  for (const rule of profile.syscalls ?? []) {
    const code = action(rule.action, rule.errnoRet);
    const args = Buffer.concat((rule.args ?? []).map(argument));
    for (const name of rule.names ?? (rule.name ? [rule.name] : []))
      fields.nested(
        Tag.mount,
        new FieldWriter().text(Tag.source, name).number(Tag.mountFlags, code).bytes(Tag.data, args),
      );
  }
  return fields;
}

function action(name: string, errno: number = constants.errno.EPERM): number {
  const code = ACTIONS[name];
  if (code === undefined) throw new RangeError(`unknown action ${name}`);
  return name === 'SCMP_ACT_ERRNO' ? code | (errno & 0xffff) : code;
}

function argument({ index, op, value, valueTwo = 0 }: Argument): Buffer {
  const code = OPERATORS[op];
  if (code === undefined) throw new RangeError(`unknown operator ${op}`);
  const bytes = Buffer.alloc(24);
  bytes.writeUInt32LE(index, 0);
  bytes.writeUInt32LE(code, 4);
  bytes.writeBigUInt64LE(BigInt(value), 8);
  bytes.writeBigUInt64LE(BigInt(valueTwo), 16);
  return bytes;
}

function number64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
