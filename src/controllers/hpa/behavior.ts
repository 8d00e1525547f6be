/** How fast an autoscaler may follow its metrics: stabilization windows, and policies of scaling (KEP-853). Pure. */
import type { HPAScalingPolicy, HPAScalingRules } from '#types';

/** What was proposed, or done, at a time (ms). */
export interface Recommendation {
  time: number;
  replicas: number;
}

/** Positive: replicas that were added, negative: that were taken away. */
export interface ScaleEvent {
  time: number;
  change: number;
}

export interface Rules {
  scaleUp: HPAScalingRules;
  scaleDown: HPAScalingRules;
}

export interface Limits {
  min: number;
  max: number;
}

export interface Verdict {
  replicas: number;
  reason: string;
  message: string;
}

/** Of the flag `--horizontal-pod-autoscaler-downscale-stabilization`. */
export const DOWNSCALE_WINDOW_SECONDS = 300;

const STABLE: Omit<Verdict, 'replicas'> = {
  reason: 'ReadyForNewScale',
  message: 'recommended size matches current size',
};
const IN_RANGE: Omit<Verdict, 'replicas'> = {
  reason: 'DesiredWithinRange',
  message: 'the desired count is within the acceptable range',
};
const DOWN_STABILIZED = {
  reason: 'ScaleDownStabilized',
  message: 'recent recommendations were higher than current one, applying the highest recent recommendation',
};
const UP_STABILIZED = {
  reason: 'ScaleUpStabilized',
  message: 'recent recommendations were lower than current one, applying the lowest recent recommendation',
};
const TOO_FEW = {
  reason: 'TooFewReplicas',
  message: 'the desired replica count is less than the minimum replica count',
};
const TOO_MANY = {
  reason: 'TooManyReplicas',
  message: 'the desired replica count is more than the maximum replica count',
};
const UP_LIMIT = {
  reason: 'ScaleUpLimit',
  message: 'the desired replica count is increasing faster than the maximum scale rate',
};
const DOWN_LIMIT = {
  reason: 'ScaleDownLimit',
  message: 'the desired replica count is decreasing faster than the maximum scale rate',
};

/** A proposal held back by recent ones, so that a short swing changes nothing. */
export function stabilize(
  desired: number,
  current: number,
  recent: readonly Recommendation[],
  rules: Rules | undefined,
  now: number,
): Verdict {
  const after = (seconds: number) => recent.filter(({ time }) => time > now - seconds * 1000);
  const downWindow = rules?.scaleDown.stabilizationWindowSeconds ?? DOWNSCALE_WINDOW_SECONDS;
  const highest = Math.max(desired, ...after(downWindow).map((r) => r.replicas));
  if (!rules)
    return highest === desired ? { replicas: desired, ...STABLE } : { replicas: highest, ...DOWN_STABILIZED };
  const upWindow = rules.scaleUp.stabilizationWindowSeconds ?? 0;
  const lowest = Math.min(desired, ...after(upWindow).map((r) => r.replicas));
  const replicas = Math.min(Math.max(current, lowest), highest);
  if (replicas === desired) return { replicas, ...STABLE };
  return { replicas, ...(desired >= current ? UP_STABILIZED : DOWN_STABILIZED) };
}

/** A stabilized number within what is allowed; another number than `desired` means that scaling is limited. */
export function limit(
  desired: number,
  current: number,
  limits: Limits,
  rules: Rules | undefined,
  events: readonly ScaleEvent[],
  now: number,
): Verdict {
  return rules
    ? limitByRules(desired, current, limits, rules, events, now)
    : limitByDefault(desired, current, limits);
}

/** Without a behavior: at most twice as many, or 4. */
function limitByDefault(desired: number, current: number, { min, max }: Limits): Verdict {
  if (desired < min) return { replicas: min, ...TOO_FEW };
  const fastest = Math.max(2 * current, 4);
  if (max > fastest && desired > fastest) return { replicas: fastest, ...UP_LIMIT };
  if (desired > max) return { replicas: max, ...TOO_MANY };
  return { replicas: desired, ...IN_RANGE };
}

function limitByRules(
  desired: number,
  current: number,
  { min, max }: Limits,
  rules: Rules,
  events: readonly ScaleEvent[],
  now: number,
): Verdict {
  if (desired > current) {
    const most = Math.max(current, upLimit(current, rules.scaleUp, events, now));
    const allowed = Math.min(max, most);
    if (desired > allowed) return { replicas: allowed, ...(max > most ? UP_LIMIT : TOO_MANY) };
  }
  if (desired < current) {
    const fewest = Math.min(current, downLimit(current, rules.scaleDown, events, now));
    const allowed = Math.max(min, fewest);
    if (desired < allowed) return { replicas: allowed, ...(min < fewest ? DOWN_LIMIT : TOO_FEW) };
  }
  return { replicas: desired, ...IN_RANGE };
}

/** How many replicas there were when a policy's period began. */
function startOf(
  current: number,
  { periodSeconds }: HPAScalingPolicy,
  events: readonly ScaleEvent[],
  now: number,
): number {
  const since = now - periodSeconds * 1000;
  return events.reduce((count, { time, change }) => (time > since ? count - change : count), current);
}

function upLimit(
  current: number,
  { selectPolicy = 'Max', policies = [] }: HPAScalingRules,
  events: readonly ScaleEvent[],
  now: number,
): number {
  if (selectPolicy === 'Disabled') return current;
  const proposals = policies.map((policy) => {
    const start = startOf(current, policy, events, now);
    return policy.type === 'Pods'
      ? start + policy.value
      : Math.ceil(Number((start * (1 + policy.value / 100)).toFixed(9)));
  });
  return selectPolicy === 'Min' ? Math.min(...proposals) : Math.max(...proposals);
}

function downLimit(
  current: number,
  { selectPolicy = 'Max', policies = [] }: HPAScalingRules,
  events: readonly ScaleEvent[],
  now: number,
): number {
  if (selectPolicy === 'Disabled') return current;
  const proposals = policies.map((policy) => {
    const start = startOf(current, policy, events, now);
    return policy.type === 'Pods' ? start - policy.value : Math.trunc(start * (1 - policy.value / 100));
  });
  // Max is the greatest change, which leaves the fewest.
  return selectPolicy === 'Min' ? Math.max(...proposals) : Math.min(...proposals);
}

/** The longest time that matters to the rules, in ms. */
export function memoryMs(rules: Rules | undefined): number {
  const ofRules = ({ stabilizationWindowSeconds = 0, policies = [] }: HPAScalingRules): number =>
    Math.max(stabilizationWindowSeconds, ...policies.map((p) => p.periodSeconds));
  const seconds = rules ? Math.max(ofRules(rules.scaleUp), ofRules(rules.scaleDown)) : 0;
  return Math.max(seconds, DOWNSCALE_WINDOW_SECONDS) * 1000;
}
