/** Authorization by rules as RBAC has them: verbs on resources. */
import type { Attributes } from '../user.js';

export interface ResourceRule {
  /** '' for the core group; `*` for all. */
  groups: string[];
  /** Such as `pods`, `pods/status`; `*` for all. */
  resources: string[];
  verbs: string[];
  /** Only these objects; all when absent. */
  names?: string[];
}

const has = (list: string[], value: string) => list.includes(value) || list.includes('*');

export function ruleAllows(rule: ResourceRule, a: Attributes): boolean {
  if (!a.isResource || !has(rule.verbs, a.verb) || !has(rule.groups, a.group)) return false;
  const what = a.subresource === '' ? a.resource : `${a.resource}/${a.subresource}`;
  const matches =
    has(rule.resources, what) || (a.subresource !== '' && rule.resources.includes(`*/${a.subresource}`));
  return matches && (rule.names === undefined || rule.names.includes(a.name));
}

/** `rule('apps', 'deployments deployments/status', 'get list')`: words are split at blanks, and `core` is ''. */
export function rule(groups: string, resources: string, verbs: string): ResourceRule {
  const words = (text: string) => text.split(' ');
  return {
    groups: words(groups).map((g) => (g === 'core' ? '' : g)),
    resources: words(resources),
    verbs: words(verbs),
  };
}
