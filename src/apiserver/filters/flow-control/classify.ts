/** Which FlowSchema a request belongs to, and which flow of it. */
import type {
  FlowSchema,
  NonResourcePolicyRule,
  PolicyRulesWithSubjects,
  ResourcePolicyRule,
  Subject,
} from '#types';
import type { Attributes, User } from '../../../auth/user.js';

const any = (list: readonly string[] | undefined, value: string): boolean =>
  list !== undefined && (list.includes(value) || list.includes('*'));

/** The first of them, by precedence and then by name, that matches. */
export function sortedSchemas(schemas: Iterable<FlowSchema>): FlowSchema[] {
  return [...schemas].sort(
    (a, b) =>
      (a.spec.matchingPrecedence ?? 0) - (b.spec.matchingPrecedence ?? 0) ||
      (a.metadata.name! < b.metadata.name! ? -1 : 1),
  );
}

export const matches = ({ spec }: FlowSchema, a: Attributes): boolean =>
  (spec.rules ?? []).some((rules) => matchesRules(rules, a));

function matchesRules(rules: PolicyRulesWithSubjects, a: Attributes): boolean {
  if (!rules.subjects.some((subject) => isSubject(subject, a.user))) return false;
  return a.isResource
    ? (rules.resourceRules ?? []).some((rule) => matchesResource(rule, a))
    : (rules.nonResourceRules ?? []).some((rule) => matchesPath(rule, a));
}

function isSubject({ kind, user, group, serviceAccount }: Subject, who: User): boolean {
  if (kind === 'User') return user !== undefined && (user.name === '*' || user.name === who.name);
  if (kind === 'Group') return group !== undefined && (group.name === '*' || who.groups.includes(group.name));
  if (!serviceAccount) return false;
  const prefix = `system:serviceaccount:${serviceAccount.namespace}:`;
  if (serviceAccount.name === '*') return who.name.startsWith(prefix);
  return who.name === prefix + serviceAccount.name;
}

function matchesResource(rule: ResourcePolicyRule, a: Attributes): boolean {
  const resource = a.subresource === '' ? a.resource : `${a.resource}/${a.subresource}`;
  if (!any(rule.verbs, a.verb) || !any(rule.apiGroups, a.group) || !any(rule.resources, resource))
    return false;
  return a.namespace === '' ? rule.clusterScope === true : any(rule.namespaces, a.namespace);
}

const matchesPath = (rule: NonResourcePolicyRule, { verb, path }: Attributes): boolean =>
  any(rule.verbs, verb) &&
  rule.nonResourceURLs.some(
    (url) => url === '*' || url === path || (url.endsWith('/*') && path.startsWith(url.slice(0, -1))),
  );

/** What tells the flows of a schema apart. */
export function distinguisher({ spec }: FlowSchema, { user, namespace }: Attributes): string {
  const method = spec.distinguisherMethod?.type;
  return method === 'ByUser' ? user.name : method === 'ByNamespace' ? namespace : '';
}
