/** What a policy rule allows, and whether rules cover others (upstream `pkg/apis/rbac/v1`, `component-helpers/auth/rbac/validation`). */
import type { PolicyRule } from '#types';
import type { Attributes } from '../user.js';

const has = (list: string[] | undefined, value: string): boolean =>
  list !== undefined && (list.includes(value) || list.includes('*'));

/** Whether `pattern`, whose trailing `*` stands for any rest, fits. */
const pathFits = (pattern: string, path: string): boolean =>
  pattern === path || (pattern.endsWith('*') && path.startsWith(pattern.replace(/\*+$/, '')));

export function ruleAllows(rule: PolicyRule, a: Attributes): boolean {
  if (!has(rule.verbs, a.verb)) return false;
  if (!a.isResource) return (rule.nonResourceURLs ?? []).some((pattern) => pathFits(pattern, a.path));
  if (!has(rule.apiGroups, a.group) || !rule.resources) return false;
  if (!resourceFits(rule.resources, a.resource, a.subresource)) return false;
  const names = rule.resourceNames;
  return names === undefined || names.length === 0 || names.includes(a.name);
}

function resourceFits(resources: string[], resource: string, subresource: string): boolean {
  if (subresource === '') return has(resources, resource);
  return has(resources, `${resource}/${subresource}`) || resources.includes(`*/${subresource}`);
}

/** The parts of `wanted` that `owned` does not cover: one verb of one resource (and name) or path each. */
export const uncovered = (owned: PolicyRule[], wanted: PolicyRule[]): PolicyRule[] =>
  wanted.flatMap(breakDown).filter((part) => !owned.some((rule) => covers(rule, part)));

function breakDown(rule: PolicyRule): PolicyRule[] {
  const parts: PolicyRule[] = [];
  const names = rule.resourceNames ?? [];
  for (const group of rule.apiGroups ?? [])
    for (const resource of rule.resources ?? [])
      for (const verb of rule.verbs) {
        const part = { apiGroups: [group], resources: [resource], verbs: [verb] };
        if (names.length === 0) parts.push(part);
        else for (const name of names) parts.push({ ...part, resourceNames: [name] });
      }
  for (const url of rule.nonResourceURLs ?? [])
    for (const verb of rule.verbs) parts.push({ nonResourceURLs: [url], verbs: [verb] });
  return parts;
}

const all = (list: string[] | undefined, wanted: string[] | undefined): boolean =>
  (wanted ?? []).every((value) => has(list, value));

function covers(rule: PolicyRule, part: PolicyRule): boolean {
  const names = rule.resourceNames ?? [];
  const named = part.resourceNames ?? [];
  return (
    all(rule.verbs, part.verbs) &&
    all(rule.apiGroups, part.apiGroups) &&
    (part.resources ?? []).every((resource) => coversResource(rule.resources ?? [], resource)) &&
    (names.length === 0 || (named.length > 0 && named.every((name) => names.includes(name)))) &&
    (part.nonResourceURLs ?? []).every((path) =>
      (rule.nonResourceURLs ?? []).some((pattern) => pathFits(pattern, path)),
    )
  );
}

function coversResource(resources: string[], resource: string): boolean {
  const slash = resource.indexOf('/');
  return has(resources, resource) || (slash >= 0 && resources.includes(`*${resource.slice(slash)}`));
}

/** Rules of one resource each are joined where only their verbs differ. */
export function compact(rules: PolicyRule[]): PolicyRule[] {
  const others: PolicyRule[] = [];
  const simple = new Map<string, PolicyRule>();
  for (const rule of rules) {
    if (!isSimple(rule)) {
      others.push(rule);
      continue;
    }
    const key = JSON.stringify([rule.apiGroups, rule.resources, rule.resourceNames ?? []]);
    const same = simple.get(key);
    if (same) same.verbs = [...same.verbs, ...rule.verbs];
    else simple.set(key, { ...rule });
  }
  return [...others, ...simple.values()];
}

const isSimple = ({ apiGroups, resources, resourceNames, nonResourceURLs }: PolicyRule): boolean =>
  apiGroups?.length === 1 &&
  resources?.length === 1 &&
  (resourceNames?.length ?? 0) <= 1 &&
  !nonResourceURLs?.length;

/** Strings as Go's `%q` prints a list of them. */
export const quoted = (list: string[]): string => `[${list.map((s) => JSON.stringify(s)).join(' ')}]`;

/** One rule in upstream's short form: `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`. */
export function describeRule(rule: PolicyRule): string {
  const parts = (
    [
      ['APIGroups', rule.apiGroups],
      ['Resources', rule.resources],
      ['NonResourceURLs', rule.nonResourceURLs],
      ['ResourceNames', rule.resourceNames],
      ['Verbs', rule.verbs],
    ] as const
  ).filter(([, list]) => list && list.length > 0);
  return `{${parts.map(([name, list]) => `${name}:${quoted(list!)}`).join(', ')}}`;
}
