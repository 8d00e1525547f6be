/** Validation of node and pod affinity. */
import type {
  Affinity,
  LabelSelector,
  NodeSelector,
  NodeSelectorRequirement,
  NodeSelectorTerm,
  PodAffinityTerm,
  WeightedPodAffinityTerm,
} from '#types';
import { child, type FieldError, forbidden, index, invalid, required } from '../../../machinery/field.js';
import * as names from '../../../machinery/names.js';
import { checked, validateLabelSelector, validateQualifiedName } from '../../../machinery/validation.js';

const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution';
const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution';

export function validateAffinity(affinity: Affinity | undefined, path: string): FieldError[] {
  if (!affinity) return [];
  const errors: FieldError[] = [];
  const node = affinity.nodeAffinity;
  const nodePath = child(path, 'nodeAffinity');
  if (node?.[REQUIRED]) errors.push(...validateNodeSelector(node[REQUIRED], child(nodePath, REQUIRED), true));
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

export function validateNodeSelector(
  { nodeSelectorTerms }: NodeSelector,
  path: string,
  strict: boolean,
): FieldError[] {
  const at = child(path, 'nodeSelectorTerms');
  if (!nodeSelectorTerms?.length) return [required(at, 'must have at least one node selector term')];
  return nodeSelectorTerms.flatMap((term, i) => validateNodeSelectorTerm(term, index(at, i), strict));
}

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

export function validateLabelKeys(
  keys: string[] | undefined,
  selector: LabelSelector | undefined,
  path: string,
): FieldError[] {
  if (!keys?.length) return [];
  if (!selector) return [forbidden(path, 'must not be specified when labelSelector is not set')];
  return keys.flatMap((key, i) => validateQualifiedName(key, index(path, i)));
}

/** How often a selector names a key: `matchLabelKeys` have been merged into it once when a pod is created. */
export function occurrences(key: string, selector: LabelSelector | undefined): number {
  const labels = selector?.matchLabels?.[key] === undefined ? 0 : 1;
  return labels + (selector?.matchExpressions ?? []).filter((e) => e.key === key).length;
}
