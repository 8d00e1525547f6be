/** Evaluates a pod against a level of the Pod Security Standards as of a version of Kubernetes. */
import { KUBERNETES_VERSION } from '../machinery/version.js';
import { baselineChecks } from './baseline.js';
import type { Check, CheckPod, Finding, Level, PodView } from './check.js';
import { restrictedChecks } from './restricted.js';

/** The minor version, or `latest`. */
export type PolicyVersion = number | 'latest';

export interface LevelVersion {
  level: Level;
  version: PolicyVersion;
}

const NEWEST = Number(KUBERNETES_VERSION.split('.')[1]);

/** `restricted:v1.30`, `baseline:latest`. */
export const levelText = ({ level, version }: LevelVersion): string =>
  `${level}:${version === 'latest' ? version : `v1.${version}`}`;

const known = new Map<string, CheckPod[]>();

/** The checks of a level: those of baseline first, each in the order of its id. Versions to come count as the newest. */
function checksFor(level: Level, version: PolicyVersion): CheckPod[] {
  const minor = version === 'latest' ? NEWEST : Math.min(version, NEWEST);
  const key = `${level}:${minor}`;
  const made = known.get(key) ?? select(level, minor);
  known.set(key, made);
  return made;
}

function select(level: Level, minor: number): CheckPod[] {
  const at = ({ id, versions }: Check) =>
    versions.filter(({ from }) => from <= minor).map((version) => ({ id, ...version }));
  const newest = (checks: Check[]) =>
    checks.map((check) => at(check).at(-1)).filter((found) => found !== undefined);
  if (level === 'privileged') return [];
  const baseline = newest(baselineChecks);
  if (level === 'baseline') return baseline.map(({ check }) => check);
  const restricted = newest(restrictedChecks);
  const overridden = new Set(restricted.map(({ overrides }) => overrides));
  return [...baseline.filter(({ id }) => !overridden.has(id)), ...restricted].map(({ check }) => check);
}

/** What a pod violates; empty: it is allowed. */
export function evaluatePod({ level, version }: LevelVersion, pod: PodView): Finding[] {
  return checksFor(level, version).flatMap((check) => check(pod) ?? []);
}

export const reasonsText = (findings: Finding[]): string => findings.map(({ reason }) => reason).join(', ');

/** `host namespaces (hostNetwork=true), privileged (container "c" must not …)`. */
export const findingsText = (findings: Finding[]): string =>
  findings.map(({ reason, detail }) => (detail === '' ? reason : `${reason} (${detail})`)).join(', ');
