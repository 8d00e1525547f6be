/** Validation of what tells the scheduler where a pod may go. */
import type {
  Affinity,
  LabelSelector,
  NodeSelectorRequirement,
  NodeSelectorTerm,
  PodAffinityTerm,
  PodSchedulingGate,
  Taint,
  Toleration,
  TopologySpreadConstraint,
  WeightedPodAffinityTerm,
} from '#types';
import {
  child,
  duplicate,
  type FieldError,
  forbidden,
  index,
  invalid,
  notSupported,
  required,
} from '../../../machinery/field.js';
import * as names from '../../../machinery/names.js';
import { checked, validateLabelSelector, validateQualifiedName } from '../../../machinery/validation.js';

const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];
const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution';
const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution';

export function validateAffinity(affinity: Affinity | undefined, path: string): FieldError[] {
  if (!affinity) return [];
  const errors: FieldError[] = [];
  const node = affinity.nodeAffinity;
  const nodePath = child(path, 'nodeAffinity');
  if (node?.[REQUIRED]) {
    const at = child(nodePath, REQUIRED, 'nodeSelectorTerms');
    const terms = node[REQUIRED].nodeSelectorTerms ?? [];
    if (terms.length === 0) errors.push(required(at, 'must have at least one node selector term'));
    terms.forEach((term, i) => {
      errors.push(...validateNodeSelectorTerm(term, index(at, i), true));
    });
  }
  node?.[PREFERRED]?.forEach((term, i) => {
    const at = index(child(nodePath, PREFERRED), i);
    errors.push(...validateWeight(term.weight, at));
    errors.push(...validateNodeSelectorTerm(term.preference ?? {}, child(at, 'preference'), false));
  });
  for (const kind of ['podAffinity', 'podAntiAffinity'] as const) {
    const at = child(path, kind);
    affinity[kind]?.[REQUIRED]?.forEach((term, i) => {
      errors.push(...validatePodTerm(term, index(child(at, REQUIRED), i)));
    });
    affinity[kind]?.[PREFERRED]?.forEach((weighted: WeightedPodAffinityTerm, i) => {
      const termPath = index(child(at, PREFERRED), i);
      errors.push(...validateWeight(weighted.weight, termPath));
      errors.push(...validatePodTerm(weighted.podAffinityTerm ?? {}, child(termPath, 'podAffinityTerm')));
    });
  }
  return errors;
}

const validateWeight = (weight: number | undefined, path: string): FieldError[] =>
  (weight ?? 0) <= 0 || weight! > 100
    ? [invalid(child(path, 'weight'), weight ?? 0, 'must be in the range 1-100')]
    : [];

/** `strict` checks the values as label values, as upstream does for required terms alone. */
export function validateNodeSelectorTerm(
  term: NodeSelectorTerm,
  path: string,
  strict: boolean,
): FieldError[] {
  return [
    ...(term.matchExpressions ?? []).flatMap((r, i) =>
      validateNodeRequirement(r, index(child(path, 'matchExpressions'), i), strict),
    ),
    ...(term.matchFields ?? []).flatMap((r, i) =>
      validateFieldRequirement(r, index(child(path, 'matchFields'), i)),
    ),
  ];
}

function validateNodeRequirement(r: NodeSelectorRequirement, path: string, strict: boolean): FieldError[] {
  const values = r.values ?? [];
  const at = child(path, 'values');
  const errors: FieldError[] = [];
  switch (r.operator) {
    case 'In':
    case 'NotIn':
      if (values.length === 0)
        errors.push(required(at, "must be specified when `operator` is 'In' or 'NotIn'"));
      break;
    case 'Exists':
    case 'DoesNotExist':
      if (values.length > 0)
        errors.push(forbidden(at, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
      break;
    case 'Gt':
    case 'Lt':
      if (values.length !== 1)
        errors.push(required(at, "must be specified single value when `operator` is 'Lt' or 'Gt'"));
      break;
    default:
      errors.push(invalid(child(path, 'operator'), r.operator ?? '', 'not a valid selector operator'));
  }
  errors.push(...validateQualifiedName(r.key ?? '', child(path, 'key')));
  if (strict)
    values.forEach((value, i) => {
      errors.push(...checked(index(at, i), value, names.labelValue));
    });
  return errors;
}

function validateFieldRequirement(r: NodeSelectorRequirement, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const at = child(path, 'values');
  if (r.operator !== 'In' && r.operator !== 'NotIn')
    errors.push(invalid(child(path, 'operator'), r.operator ?? '', 'not a valid selector operator'));
  else if (r.values?.length !== 1)
    errors.push(
      required(at, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"),
    );
  if (r.key !== 'metadata.name')
    errors.push(invalid(child(path, 'key'), r.key ?? '', 'not a valid field selector key'));
  else
    r.values?.forEach((value, i) => {
      errors.push(...checked(index(at, i), value, names.dns1123Subdomain));
    });
  return errors;
}

function validatePodTerm(term: Partial<PodAffinityTerm>, path: string): FieldError[] {
  const errors = [
    ...validateLabelSelector(term.labelSelector, child(path, 'labelSelector')),
    ...validateLabelSelector(term.namespaceSelector, child(path, 'namespaceSelector')),
    ...(term.namespaces ?? []).flatMap((name) => checked(child(path, 'namespace'), name, names.dns1123Label)),
    ...validateLabelKeys(term.matchLabelKeys, term.labelSelector, child(path, 'matchLabelKeys')),
    ...validateLabelKeys(term.mismatchLabelKeys, term.labelSelector, child(path, 'mismatchLabelKeys')),
  ];
  term.matchLabelKeys?.forEach((name, i) => {
    if (occurrences(name, term.labelSelector) > 1)
      errors.push(invalid(index(path, i), name, 'exists in both matchLabelKeys and labelSelector'));
    if (term.mismatchLabelKeys?.includes(name))
      errors.push(
        invalid(
          index(child(path, 'matchLabelKeys'), i),
          name,
          'exists in both matchLabelKeys and mismatchLabelKeys',
        ),
      );
  });
  const key = child(path, 'topologyKey');
  if (!term.topologyKey) errors.push(required(key, 'can not be empty'));
  return [...errors, ...validateQualifiedName(term.topologyKey ?? '', key)];
}

function validateLabelKeys(
  keys: string[] | undefined,
  selector: LabelSelector | undefined,
  path: string,
): FieldError[] {
  if (!keys?.length) return [];
  if (!selector) return [forbidden(path, 'must not be specified when labelSelector is not set')];
  return keys.flatMap((key, i) => validateQualifiedName(key, index(path, i)));
}

/** How often a selector names a key: `matchLabelKeys` have been merged into it once when a pod is created. */
function occurrences(key: string, selector: LabelSelector | undefined): number {
  const labels = selector?.matchLabels?.[key] === undefined ? 0 : 1;
  return labels + (selector?.matchExpressions ?? []).filter((e) => e.key === key).length;
}

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
