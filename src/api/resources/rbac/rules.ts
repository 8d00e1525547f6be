/** Policy rules: what roles allow, and how that is validated. */
import type { PolicyRule } from '#types';
import { child, type FieldError, index, invalid, required } from '../../machinery/field.js';

export const RBAC = 'rbac.authorization.k8s.io';

export const validateRules = (rules: PolicyRule[] | undefined, namespaced: boolean): FieldError[] =>
  (rules ?? []).flatMap((rule, i) => validateRule(rule, namespaced, index('rules', i)));

function validateRule(rule: PolicyRule, namespaced: boolean, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const count = (list: string[] | undefined) => list?.length ?? 0;
  if (count(rule.verbs) === 0)
    errors.push(required(child(path, 'verbs'), 'verbs must contain at least one value'));
  if (count(rule.nonResourceURLs) > 0) {
    const at = child(path, 'nonResourceURLs');
    if (namespaced)
      errors.push(invalid(at, rule.nonResourceURLs, 'namespaced rules cannot apply to non-resource URLs'));
    if (count(rule.apiGroups) + count(rule.resources) + count(rule.resourceNames) > 0)
      errors.push(
        invalid(
          at,
          rule.nonResourceURLs,
          'rules cannot apply to both regular resources and non-resource URLs',
        ),
      );
    return errors;
  }
  if (count(rule.apiGroups) === 0)
    errors.push(required(child(path, 'apiGroups'), 'resource rules must supply at least one api group'));
  if (count(rule.resources) === 0)
    errors.push(required(child(path, 'resources'), 'resource rules must supply at least one resource'));
  return errors;
}
