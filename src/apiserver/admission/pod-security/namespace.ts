/** What is told to whoever makes a namespace's level stricter: which of its pods would no longer be allowed. */
import { setImmediate } from 'node:timers/promises';
import type { Pod } from '#types';
import {
  evaluatePod,
  type LevelVersion,
  levelText,
  reasonsText,
} from '../../../api/pod-security/evaluate.js';

const MAX_PODS = 3000;
const MAX_MS = 1000;
/** Pods that are looked at before others have their turn on the event loop. */
const AT_ONCE = 200;

/** Warnings about the first 3,000 pods, in at most a second. */
export async function warningsOfNamespace(
  namespace: string,
  enforce: LevelVersion,
  all: Pod[],
): Promise<string[]> {
  const until = performance.now() + MAX_MS;
  const pods = firstOfEachOwner(all).slice(0, MAX_PODS);
  const byReason = new Map<string, string[]>();
  let checked = 0;
  for (const { metadata, spec } of pods) {
    checked++;
    const findings = evaluatePod(enforce, { annotations: metadata?.annotations ?? {}, spec: spec! });
    const reason = reasonsText(findings);
    if (reason !== '') byReason.set(reason, [...(byReason.get(reason) ?? []), metadata!.name!]);
    if (checked % AT_ONCE === 0) await setImmediate();
    if (performance.now() > until) break;
  }
  const warnings = [];
  if (checked < all.length)
    warnings.push(
      `new PodSecurity enforce level only checked against the first ${checked} of ${all.length} existing pods`,
    );
  if (byReason.size > 0)
    warnings.push(
      `existing pods in namespace ${JSON.stringify(namespace)} violate the new PodSecurity enforce level ${JSON.stringify(levelText(enforce))}`,
    );
  return [...warnings, ...[...byReason].map(describe).sort()];
}

function describe([reason, names]: [string, string[]]): string {
  const [first] = names.sort();
  const others = names.length - 1;
  const more = others === 0 ? '' : ` (and ${others} other pod${others === 1 ? '' : 's'})`;
  return `${first}${more}: ${reason}`;
}

/** Pods of one owner are alike: one of each first. */
function firstOfEachOwner(pods: Pod[]): Pod[] {
  const seen = new Set<string>();
  const [first, rest]: [Pod[], Pod[]] = [[], []];
  for (const pod of pods) {
    const owner = pod.metadata?.ownerReferences?.find(({ controller }) => controller)?.uid;
    (owner !== undefined && seen.has(owner) ? rest : first).push(pod);
    if (owner !== undefined) seen.add(owner);
  }
  return [...first, ...rest];
}
