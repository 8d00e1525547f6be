/** The fields of a container's or an exec's process: user, capabilities, filter, environment, cgroup. */
import { ProcessFlag, Seccomp, Tag } from '../shim/protocol.js';
import { FieldWriter } from '../shim/wire.js';
import type { ContainerConfig } from '../types.js';
import { ALL_CAPABILITIES, containerCapabilities } from './capabilities.js';
import { readProfile } from './seccomp.js';

const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const RLIMIT_NOFILE = 7;
/** What container engines give: enough for servers, few enough for programs that close all. */
const MAX_OPEN_FILES = 1_048_576n;

export interface ProcessOptions {
  config: ContainerConfig;
  argv: string[];
  /** Bits of ProcessFlag for the streams. */
  flags: number;
  /** Added to the container's; the last of a name wins. */
  env?: string[];
  hostname: string;
  cgroupProcs: string[];
  /** Built filters are kept in files that start with this. */
  seccompCache: string;
}

/** Throws RuntimeError('Invalid') or RangeError for a configuration that can't be. */
export function processFields(options: ProcessOptions): FieldWriter {
  const { config, argv } = options;
  const { security } = config;
  const capabilities = security.privileged
    ? ALL_CAPABILITIES
    : containerCapabilities(security.addCapabilities, security.dropCapabilities);
  const flags =
    options.flags |
    (security.noNewPrivileges ? ProcessFlag.noNewPrivileges : 0) |
    (security.readOnlyRoot ? ProcessFlag.readOnlyRoot : 0) |
    (security.privileged ? ProcessFlag.allDevices : 0);
  const limit = Buffer.alloc(24);
  limit.writeBigUInt64LE(BigInt(RLIMIT_NOFILE), 0);
  limit.writeBigUInt64LE(MAX_OPEN_FILES, 8);
  limit.writeBigUInt64LE(MAX_OPEN_FILES, 16);
  const fields = new FieldWriter()
    .text(Tag.id, config.id)
    .number(Tag.flags, flags)
    .texts(Tag.arg, argv)
    .texts(Tag.env, environment(options))
    .text(Tag.cwd, config.workingDirectory)
    .number(Tag.uid, security.uid)
    .number(Tag.gid, security.gid)
    .number(Tag.capabilities, capabilities)
    .number(Tag.oomScoreAdj, config.oomScoreAdj)
    .texts(Tag.cgroupProcs, options.cgroupProcs)
    .bytes(Tag.rlimit, limit);
  for (const group of new Set([security.gid, ...security.supplementalGroups]))
    fields.number(Tag.group, group);
  return addSeccomp(fields, options, capabilities);
}

function addSeccomp(fields: FieldWriter, options: ProcessOptions, capabilities: bigint): FieldWriter {
  const { security } = options.config;
  if (security.privileged || security.seccomp === 'unconfined')
    return fields.number(Tag.seccomp, Seccomp.unconfined);
  if (security.seccomp === 'default')
    return fields
      .number(Tag.seccomp, Seccomp.default)
      .text(Tag.seccompCache, `${options.seccompCache}-${capabilities.toString(16)}`);
  const { rules, digest } = readProfile(security.seccomp.profile);
  return fields
    .number(Tag.seccomp, Seccomp.rules)
    .nested(Tag.seccompRules, rules)
    .text(Tag.seccompCache, `${options.seccompCache}-${digest}`);
}

/** The container's own variables go over the runtime's. */
function environment({ config, env = [], flags, hostname }: ProcessOptions): string[] {
  const variables = new Map<string, string>();
  const defaults = [DEFAULT_PATH, `HOSTNAME=${hostname}`, ...(flags & ProcessFlag.tty ? ['TERM=xterm'] : [])];
  for (const entry of [...defaults, ...config.env, ...env]) variables.set(entry.split('=', 1)[0]!, entry);
  return [...variables.values()];
}
