/** Validation of tolerations, taints, spread constraints and scheduling gates. */
import type { PodSchedulingGate, Taint, Toleration, TopologySpreadConstraint } from '#types';
import {
  child,
  duplicate,
  type FieldError,
  index,
  invalid,
  notSupported,
  required,
} from '../../../machinery/field.js';
import * as names from '../../../machinery/names.js';
import { validateLabelSelector, validateQualifiedName } from '../../../machinery/validation.js';
import { occurrences, validateLabelKeys } from './validate-affinity.js';

const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];
export function validateTolerations(tolerations: Toleration[] | undefined, path: string): FieldError[] {
  return (tolerations ?? []).flatMap((toleration, i) => {
    const at = index(path, i);
    const operator = child(at, 'operator');
    const errors = toleration.key ? validateQualifiedName(toleration.key, child(at, 'key')) : [];
    if (!toleration.key && toleration.operator !== 'Exists')
      errors.push(
        invalid(
          operator,
          toleration.operator ?? '',
          'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        ),
      );
    if (toleration.tolerationSeconds !== undefined && toleration.effect !== 'NoExecute')
      errors.push(
        invalid(
          child(at, 'effect'),
          toleration.effect ?? '',
          "effect must be 'NoExecute' when `tolerationSeconds` is set",
        ),
      );
    errors.push(...validateTolerationValue(toleration, operator));
    if (toleration.effect) errors.push(...validateEffect(toleration.effect, child(at, 'effect')));
    return errors;
  });
}

function validateTolerationValue(toleration: Toleration, path: string): FieldError[] {
  const value = toleration.value ?? '';
  switch (toleration.operator ?? '') {
    case '':
    case 'Equal': {
      const messages = names.labelValue(value);
      return messages.length > 0 ? [invalid(path, value, messages.join(';'))] : [];
    }
    case 'Exists':
      return value === '' ? [] : [invalid(path, value, "value must be empty when `operator` is 'Exists'")];
    default:
      return [notSupported(path, toleration.operator, ['Equal', 'Exists'])];
  }
}

const validateEffect = (effect: string, path: string): FieldError[] =>
  EFFECTS.includes(effect) ? [] : [notSupported(path, effect, EFFECTS)];

export function validateTaints(taints: Taint[] | undefined, path: string): FieldError[] {
  const seen = new Set<string>();
  return (taints ?? []).flatMap((taint, i) => {
    const at = index(path, i);
    const errors = validateQualifiedName(taint.key ?? '', child(at, 'key'));
    const messages = names.labelValue(taint.value ?? '');
    if (messages.length > 0) errors.push(invalid(child(at, 'value'), taint.value, messages.join(';')));
    if (!taint.effect) errors.push(required(child(at, 'effect')));
    else errors.push(...validateEffect(taint.effect, child(at, 'effect')));
    const id = `${taint.key}:${taint.effect}`;
    if (seen.has(id)) {
      const error = duplicate(at, taint);
      errors.push({ ...error, message: `${error.message}: taints must be unique by key and effect pair` });
    }
    seen.add(id);
    return errors;
  });
}

export function validateTopologySpread(
  constraints: TopologySpreadConstraint[] | undefined,
  path: string,
): FieldError[] {
  const all = constraints ?? [];
  const policies = ['Honor', 'Ignore'];
  return all.flatMap((constraint, i) => {
    const at = index(path, i);
    const { topologyKey, whenUnsatisfiable, minDomains } = constraint;
    const errors: FieldError[] = [];
    if ((constraint.maxSkew ?? 0) <= 0)
      errors.push(invalid(child(at, 'maxSkew'), constraint.maxSkew ?? 0, 'must be greater than zero'));
    if (!topologyKey) errors.push(required(child(at, 'topologyKey'), 'can not be empty'));
    if (whenUnsatisfiable !== 'DoNotSchedule' && whenUnsatisfiable !== 'ScheduleAnyway')
      errors.push(
        notSupported(child(at, 'whenUnsatisfiable'), whenUnsatisfiable ?? '', [
          'DoNotSchedule',
          'ScheduleAnyway',
        ]),
      );
    if (
      all.slice(i + 1).some((o) => o.topologyKey === topologyKey && o.whenUnsatisfiable === whenUnsatisfiable)
    )
      errors.push(
        duplicate(
          child(at, '{topologyKey, whenUnsatisfiable}'),
          `{${topologyKey ?? ''}, ${whenUnsatisfiable ?? ''}}`,
        ),
      );
    if (minDomains !== undefined && minDomains <= 0)
      errors.push(invalid(child(at, 'minDomains'), minDomains, 'must be greater than zero'));
    if (minDomains !== undefined && whenUnsatisfiable !== 'DoNotSchedule')
      errors.push(
        invalid(
          child(at, 'minDomains'),
          minDomains,
          `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${whenUnsatisfiable ?? ''}`,
        ),
      );
    for (const field of ['nodeAffinityPolicy', 'nodeTaintsPolicy'] as const)
      if (constraint[field] !== undefined && !policies.includes(constraint[field]))
        errors.push(notSupported(child(at, field), constraint[field], policies));
    const keysPath = child(at, 'matchLabelKeys');
    errors.push(...validateLabelKeys(constraint.matchLabelKeys, constraint.labelSelector, keysPath));
    constraint.matchLabelKeys?.forEach((name, j) => {
      if (occurrences(name, constraint.labelSelector) > 1)
        errors.push(invalid(index(keysPath, j), name, 'exists in both matchLabelKeys and labelSelector'));
    });
    return [...errors, ...validateLabelSelector(constraint.labelSelector, child(at, 'labelSelector'))];
  });
}

export function validateSchedulingGates(gates: PodSchedulingGate[] | undefined, path: string): FieldError[] {
  const seen = new Set<string>();
  return (gates ?? []).flatMap((gate, i) => {
    const errors = validateQualifiedName(gate.name ?? '', index(path, i));
    if (seen.has(gate.name)) errors.push(duplicate(index(path, i), gate.name));
    seen.add(gate.name);
    return errors;
  });
}
