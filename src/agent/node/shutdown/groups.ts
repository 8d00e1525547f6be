/** Which pods end when as a node shuts down, and how long each group of them has (KEP-2000, KEP-2712). Pure. */
import type { Pod } from '#types';

/** Pods of this priority and above, up to the next group's. */
export interface ShutdownPeriod {
  priority: number;
  seconds: number;
}

export interface ShutdownFlags {
  shutdownGracePeriod?: string;
  shutdownGracePeriodCriticalPods?: string;
  shutdownGracePeriodByPodPriority?: string;
}

const SYSTEM_CRITICAL = 2_000_000_000;

/** Lowest priority first; none: a shutdown is not waited for. @throws Error that says which option is wrong, and how. */
export function shutdownPeriods(
  flags: ShutdownFlags,
  duration: (option: string, text: string) => number,
): ShutdownPeriod[] {
  const whole = seconds('shutdown-grace-period', flags.shutdownGracePeriod ?? '0', duration);
  const critical = seconds(
    'shutdown-grace-period-critical-pods',
    flags.shutdownGracePeriodCriticalPods ?? '0',
    duration,
  );
  const byPriority = (flags.shutdownGracePeriodByPodPriority ?? '').split(',').filter(Boolean);
  if (byPriority.length > 0 && whole + critical > 0)
    throw new Error(
      '--shutdown-grace-period-by-pod-priority can not be combined with --shutdown-grace-period',
    );
  if (critical > whole)
    throw new Error('--shutdown-grace-period-critical-pods can not be more than --shutdown-grace-period');
  if (whole > 0)
    return [
      { priority: 0, seconds: whole - critical },
      { priority: SYSTEM_CRITICAL, seconds: critical },
    ];
  return byPriority.map((text) => period(text, duration)).sort((a, b) => a.priority - b.priority);
}

function period(text: string, duration: (option: string, text: string) => number): ShutdownPeriod {
  const option = 'shutdown-grace-period-by-pod-priority';
  const [priority = '', time = ''] = text.split('=');
  if (!/^-?\d+$/.test(priority)) throw new Error(`--${option}: "${priority}" is not a priority`);
  return { priority: Number(priority), seconds: seconds(option, time, duration) };
}

function seconds(option: string, text: string, duration: (option: string, text: string) => number): number {
  const ms = duration(option, text);
  if (ms > 0 && ms < 1000) throw new Error(`--${option} must be 0s or at least 1s`);
  return Math.trunc(ms / 1000);
}

/** A pod belongs to the group of the highest priority that is not above its own; to the lowest if all are. */
export function shutdownGroups<P extends { pod: Pod }>(
  periods: ShutdownPeriod[],
  pods: P[],
): { period: ShutdownPeriod; pods: P[] }[] {
  const groups = periods.map((of) => ({ period: of, pods: [] as P[] }));
  for (const one of pods) {
    const priority = one.pod.spec.priority ?? 0;
    (groups.findLast((group) => group.period.priority <= priority) ?? groups[0])?.pods.push(one);
  }
  return groups.filter((group) => group.pods.length > 0);
}
