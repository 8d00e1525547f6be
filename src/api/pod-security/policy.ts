/**
 * Which policy the labels of a namespace ask for.
 * @see https://kubernetes.io/docs/concepts/security/pod-security-admission/#pod-security-admission-labels-for-namespaces
 */
import { type FieldError, invalid, key } from '../machinery/field.js';
import type { Level } from './check.js';
import { type LevelVersion, levelText, type PolicyVersion } from './evaluate.js';

export const MODES = ['enforce', 'audit', 'warn'] as const;
export type Mode = (typeof MODES)[number];
export type Policy = Record<Mode, LevelVersion>;

const PREFIX = 'pod-security.kubernetes.io/';
/** From lax to strict. */
const LEVELS: Level[] = ['privileged', 'baseline', 'restricted'];

export const PRIVILEGED: Policy = {
  enforce: { level: 'privileged', version: 'latest' },
  audit: { level: 'privileged', version: 'latest' },
  warn: { level: 'privileged', version: 'latest' },
};

/** Above 0: `a` is stricter. */
export const compareLevels = (a: Level, b: Level): number => LEVELS.indexOf(a) - LEVELS.indexOf(b);

export const isFullyPrivileged = (policy: Policy): boolean =>
  MODES.every((mode) => policy[mode].level === 'privileged');

export const samePolicy = (a: LevelVersion, b: LevelVersion): boolean =>
  a.level === b.level && a.version === b.version;

export function parseLevel(text: string): Level | undefined {
  return LEVELS.find((level) => level === text);
}

export function parsePolicyVersion(text: string): PolicyVersion | undefined {
  if (text === 'latest') return text;
  const minor = /^v1\.(0|[1-9]\d*)$/.exec(text)?.[1];
  return minor === undefined ? undefined : Number(minor);
}

export const LEVEL_RULE = 'must be one of privileged, baseline, restricted';
export const VERSION_RULE = 'must be "latest" or "v1.x"';

/**
 * The policy that `labels` ask for, on top of `defaults`. What can't be read is an error, and counts as restricted
 * where it is enforced and as privileged where it would only be told.
 */
export function policyOf(
  labels: Record<string, string> | undefined,
  defaults: Policy = PRIVILEGED,
): { policy: Policy; errors: FieldError[] } {
  const errors: FieldError[] = [];
  const policy = { ...defaults };
  for (const mode of MODES) policy[mode] = readMode(labels ?? {}, mode, defaults[mode], errors);
  const asked = parseLevel(labels?.[`${PREFIX}enforce`] ?? '');
  // Whoever enforces more than is warned of by default wants to be warned of that, too.
  if (asked && labels?.[`${PREFIX}warn`] === undefined && compareLevels(asked, policy.warn.level) > 0)
    policy.warn = {
      level: asked,
      version: labels?.[`${PREFIX}warn-version`] === undefined ? policy.enforce.version : policy.warn.version,
    };
  return { policy, errors };
}

function readMode(
  labels: Record<string, string>,
  mode: Mode,
  fallback: LevelVersion,
  errors: FieldError[],
): LevelVersion {
  let { level, version } = fallback;
  const levelLabel = `${PREFIX}${mode}`;
  const asked = labels[levelLabel];
  if (asked !== undefined) {
    const parsed = parseLevel(asked);
    if (!parsed) errors.push(invalid(key('metadata.labels', levelLabel), asked, LEVEL_RULE));
    level = parsed ?? (mode === 'enforce' ? 'restricted' : 'privileged');
  }
  const versionLabel = `${levelLabel}-version`;
  const at = labels[versionLabel];
  if (at !== undefined) {
    const parsed = parsePolicyVersion(at);
    if (parsed === undefined) errors.push(invalid(key('metadata.labels', versionLabel), at, VERSION_RULE));
    version = parsed ?? 'latest';
  }
  return { level, version };
}

/** The modes that a namespace's labels set and that are not privileged: `enforce=baseline:latest, warn=…`. */
export function askedText(policy: Policy, labels: Record<string, string> = {}): string {
  return MODES.filter(
    (mode) =>
      policy[mode].level !== 'privileged' &&
      (labels[`${PREFIX}${mode}`] !== undefined || labels[`${PREFIX}${mode}-version`] !== undefined),
  )
    .map((mode) => `${mode}=${levelText(policy[mode])}`)
    .join(', ');
}
