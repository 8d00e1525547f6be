/** What an update of a pod may change (upstream `ValidatePodUpdate`). */
import type { Affinity, NodeAffinity, Pod, PodSpec, Toleration } from '#types';
import { child, type FieldError, forbidden, index, invalid, required } from '../../machinery/field.js';
import { inclusiveRange } from '../../machinery/names.js';
import { deepCopy } from '../../machinery/types.js';
import { sameJson } from '../../machinery/validation.js';

const MAX_INT32 = 2 ** 31 - 1;

const UPDATABLE = [
  '`spec.containers[*].image`',
  '`spec.initContainers[*].image`',
  '`spec.activeDeadlineSeconds`',
  '`spec.tolerations` (only additions to existing tolerations)',
  '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
].join(',');

export function validatePodUpdate(pod: Pod, old: Pod): FieldError[] {
  const errors = validateAnnotationUpdate(pod, old);
  for (const list of ['containers', 'initContainers'] as const) {
    const path = child('spec', list);
    const containers = pod.spec[list] ?? [];
    if (containers.length !== (old.spec[list] ?? []).length)
      return [...errors, forbidden(path, 'pod updates may not add or remove containers')];
    containers.forEach((container, i) => {
      if (!container.image) errors.push(required(child(index(path, i), 'image')));
    });
  }
  const deadline = validateDeadline(pod.spec, old.spec);
  errors.push(...deadline.errors);
  if (deadline.stop) return errors;
  errors.push(...validateAddedTolerations(pod.spec.tolerations ?? [], old.spec.tolerations ?? []));
  errors.push(...validateRemovedGates(pod.spec, old.spec));
  if (sameJson(pod.spec, old.spec)) return errors;
  const munged = withOldMutableFields(pod.spec, old.spec);
  if (old.spec.schedulingGates?.length) errors.push(...validateGated(munged, old.spec));
  if (!sameJson(munged, old.spec))
    errors.push(forbidden('spec', `pod updates may not change fields other than ${UPDATABLE}`));
  return errors;
}

function validateDeadline(spec: PodSpec, old: PodSpec): { errors: FieldError[]; stop: boolean } {
  const path = 'spec.activeDeadlineSeconds';
  const [value, before] = [spec.activeDeadlineSeconds, old.activeDeadlineSeconds];
  const stop = (detail: string) => ({ errors: [invalid(path, value, detail)], stop: true });
  if (value === undefined) {
    if (before === undefined) return { errors: [], stop: false };
    const rule = 'must not update from a positive integer to nil value';
    return { errors: [invalid(path, undefined, rule)], stop: false };
  }
  if (value < 0 || value > MAX_INT32) return stop(inclusiveRange(0, MAX_INT32));
  if (before !== undefined && before < value) return stop('must be less than or equal to previous value');
  return { errors: [], stop: false };
}

function validateAddedTolerations(tolerations: Toleration[], old: Toleration[]): FieldError[] {
  const kept = old.every((before) =>
    tolerations.some((now) => sameJson({ ...before, tolerationSeconds: now.tolerationSeconds }, now)),
  );
  const rule = 'existing toleration can not be modified except its tolerationSeconds';
  return kept ? [] : [forbidden('spec.tolerations', rule)];
}

function validateRemovedGates(spec: PodSpec, old: PodSpec): FieldError[] {
  const before = new Set((old.schedulingGates ?? []).map((gate) => gate.name));
  return (spec.schedulingGates ?? []).flatMap((gate, i) =>
    before.has(gate.name)
      ? []
      : [
          forbidden(
            child(index('spec.schedulingGates', i), 'name'),
            `only deletion is allowed, but found new scheduling gate '${gate.name}'`,
          ),
        ],
  );
}

/** A copy in which the fields that may change are as they were; what still differs may not. */
function withOldMutableFields(spec: PodSpec, old: PodSpec): PodSpec {
  const munged = deepCopy(spec);
  for (const list of ['containers', 'initContainers'] as const)
    munged[list]?.forEach((container, i) => {
      container.image = old[list]![i]!.image;
    });
  munged.activeDeadlineSeconds = old.activeDeadlineSeconds;
  munged.schedulingGates = old.schedulingGates;
  munged.tolerations = old.tolerations;
  if ((old.terminationGracePeriodSeconds ?? 0) < 0 && munged.terminationGracePeriodSeconds === 1)
    munged.terminationGracePeriodSeconds = old.terminationGracePeriodSeconds;
  return munged;
}

/** A gated pod's node selector and node affinity may be narrowed (KEP-3838); changes `munged` back. */
function validateGated(munged: PodSpec, old: PodSpec): FieldError[] {
  const errors: FieldError[] = [];
  if (!sameJson(munged.nodeSelector, old.nodeSelector)) {
    for (const [key, value] of Object.entries(old.nodeSelector ?? {}))
      if (munged.nodeSelector?.[key] !== value) {
        errors.push(
          invalid(
            'spec.nodeSelector',
            munged.nodeSelector,
            'only additions to spec.nodeSelector are allowed (no mutations or deletions)',
          ),
        );
        break;
      }
    munged.nodeSelector = old.nodeSelector;
  }
  const before = old.affinity?.nodeAffinity;
  if (!sameJson(munged.affinity?.nodeAffinity, before)) {
    errors.push(...validateNodeAffinityMutation(munged.affinity?.nodeAffinity, before));
    const affinity: Affinity = { ...munged.affinity, nodeAffinity: before };
    if (before === undefined) delete affinity.nodeAffinity;
    munged.affinity = Object.keys(affinity).length === 0 && !old.affinity ? undefined : affinity;
  }
  return errors;
}

function validateNodeAffinityMutation(
  affinity: NodeAffinity | undefined,
  old: NodeAffinity | undefined,
): FieldError[] {
  const path = 'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution';
  const before = old?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  const now = affinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  if (before.length === 0) return [];
  const at = child(path, 'nodeSelectorTerms');
  if (before.length !== now.length)
    return [invalid(at, now, 'no additions/deletions to non-empty NodeSelectorTerms list are allowed')];
  return before.flatMap((term, i) => {
    const kept =
      (term.matchExpressions ?? []).every((r, j) => sameJson(r, now[i]!.matchExpressions?.[j])) &&
      (term.matchFields ?? []).every((r, j) => sameJson(r, now[i]!.matchFields?.[j]));
    const empty = !term.matchExpressions?.length && !term.matchFields?.length;
    return kept && !(empty && !sameJson(term, now[i]))
      ? []
      : [invalid(index(at, i), now[i], 'only additions are allowed (no mutations or deletions)')];
  });
}

/** Annotations that belong to the node or the runtime: fixed once the pod exists. */
export function validateAnnotationUpdate(pod: Pod, old: Pod): FieldError[] {
  const now = pod.metadata.annotations ?? {};
  const before = old.metadata.annotations ?? {};
  const path = (name: string) => `metadata.annotations[${name}]`;
  const kind = (name: string): string | undefined => {
    if (name.startsWith('container.apparmor.security.beta.kubernetes.io/')) return 'AppArmor annotations';
    return name === 'kubernetes.io/config.mirror' ? 'mirror pod annotation' : undefined;
  };
  const errors: FieldError[] = [];
  for (const name in before)
    if (now[name] !== before[name] && kind(name))
      errors.push(forbidden(path(name), `may not remove or update ${kind(name)}`));
  for (const name in now)
    if (!(name in before) && kind(name)) errors.push(forbidden(path(name), `may not add ${kind(name)}`));
  return errors;
}
