/**
 * Audit policies: what is recorded of which requests.
 * @see https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/#audit-k8s-io-v1-Policy
 */
import { readFile } from 'node:fs/promises';
import {
  describe,
  type FieldError,
  index,
  invalid,
  notSupported,
  required,
} from '../../api/machinery/field.js';
import { dns1123Subdomain } from '../../api/machinery/names.js';
import { ConfigurationError } from '../../auth/configuration-error.js';
import type { Attributes } from '../../auth/user.js';

const LEVELS = ['None', 'Metadata', 'Request', 'RequestResponse'] as const;
const STAGES = ['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic'] as const;
export type Level = (typeof LEVELS)[number];
export type Stage = (typeof STAGES)[number];

interface GroupResources {
  group?: string;
  resources?: string[];
  resourceNames?: string[];
}

interface PolicyRule {
  level: Level;
  users?: string[];
  userGroups?: string[];
  verbs?: string[];
  resources?: GroupResources[];
  namespaces?: string[];
  nonResourceURLs?: string[];
  omitStages?: Stage[];
  omitManagedFields?: boolean;
}

export interface Policy {
  rules: PolicyRule[];
  omitStages?: Stage[];
  omitManagedFields?: boolean;
}

/** What is recorded of one request. */
export interface Verdict {
  level: Level;
  omitStages: readonly Stage[];
  omitManagedFields: boolean;
}

/** Reads a policy file, YAML or JSON. Rejects with one error that names the file and all that is wrong. */
export async function loadPolicy(path: string): Promise<Policy> {
  const { parse } = await import('yaml');
  let policy: any;
  try {
    policy = parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new ConfigurationError(`The audit policy ${path} can't be read: ${(error as Error).message}`);
  }
  if (policy?.kind !== 'Policy' || policy.apiVersion !== 'audit.k8s.io/v1')
    throw new ConfigurationError(
      `${path} is no audit policy: it must be of kind Policy and apiVersion audit.k8s.io/v1.`,
    );
  if (!Array.isArray(policy.rules) || policy.rules.length === 0)
    throw new ConfigurationError(`The audit policy ${path} has no rules.`);
  const errors = validate(policy);
  if (errors.length > 0)
    throw new ConfigurationError(`The audit policy ${path} is invalid: ${errors.map(describe).join(', ')}`);
  return policy as Policy;
}

export function validate(policy: Policy): FieldError[] {
  const errors = stageErrors(policy.omitStages, 'omitStages');
  policy.rules.forEach((rule, i) => {
    errors.push(...ruleErrors(rule, index('rules', i)));
  });
  return errors;
}

function ruleErrors(rule: PolicyRule, at: string): FieldError[] {
  const errors: FieldError[] = [];
  if (!rule.level) errors.push(required(`${at}.level`));
  else if (!LEVELS.includes(rule.level)) errors.push(notSupported(`${at}.level`, rule.level, LEVELS));
  rule.nonResourceURLs?.forEach((url, i) => {
    const where = index(`${at}.nonResourceURLs`, i);
    if (url !== '*' && !url.startsWith('/'))
      errors.push(invalid(where, url, "non-resource URL rules must begin with a '/' character"));
    if (url.slice(0, -1).includes('*'))
      errors.push(
        invalid(where, url, "non-resource URL wildcards '*' must be the final character of the rule"),
      );
  });
  for (const { group, resources, resourceNames } of rule.resources ?? []) {
    const why = group && group !== '*' ? dns1123Subdomain(group) : [];
    if (why.length > 0) errors.push(invalid(`${at}.resources.group`, group, why.join(',')));
    if (resourceNames?.length && !resources?.length)
      errors.push(
        invalid(
          `${at}.resources.resourceNames`,
          resourceNames,
          'using resourceNames requires at least one resource',
        ),
      );
  }
  if (rule.nonResourceURLs?.length && (rule.resources?.length || rule.namespaces?.length))
    errors.push(
      invalid(
        `${at}.nonResourceURLs`,
        rule.nonResourceURLs,
        'rules cannot apply to both regular resources and non-resource URLs',
      ),
    );
  return [...errors, ...stageErrors(rule.omitStages, `${at}.omitStages`)];
}

const stageErrors = (stages: Stage[] | undefined, at: string): FieldError[] =>
  (stages ?? []).flatMap((stage, i) =>
    STAGES.includes(stage) ? [] : [invalid(index(at, i), stage, `allowed stages are ${STAGES.join(',')}`)],
  );

/** The first rule that matches decides; nothing is recorded where none does. */
export function evaluate(policy: Policy, attributes: Attributes): Verdict {
  const rule = policy.rules.find((r) => matches(r, attributes));
  return {
    level: rule?.level ?? 'None',
    omitStages: [...(policy.omitStages ?? []), ...(rule?.omitStages ?? [])],
    omitManagedFields: rule?.omitManagedFields ?? policy.omitManagedFields ?? false,
  };
}

const among = (list: string[] | undefined, value: string): boolean =>
  list === undefined || list.length === 0 || list.includes(value);

function matches(rule: PolicyRule, a: Attributes): boolean {
  if (!among(rule.users, a.user.name) || !among(rule.verbs, a.verb)) return false;
  if (rule.userGroups?.length && !a.user.groups.some((group) => rule.userGroups!.includes(group)))
    return false;
  if (rule.namespaces?.length || rule.resources?.length)
    return (
      a.isResource &&
      among(rule.namespaces, a.namespace) &&
      (!rule.resources?.length || rule.resources.some((resources) => matchesResources(resources, a)))
    );
  if (rule.nonResourceURLs?.length)
    return !a.isResource && rule.nonResourceURLs.some((url) => matchesPath(url, a.path));
  return true;
}

function matchesResources({ group = '', resources, resourceNames }: GroupResources, a: Attributes): boolean {
  if (group !== a.group && group !== '*') return false;
  if (!resources?.length) return true;
  if (!among(resourceNames, a.name)) return false;
  const whole = a.subresource === '' ? a.resource : `${a.resource}/${a.subresource}`;
  return resources.some(
    (resource) =>
      resource === '*' ||
      resource === whole ||
      (a.subresource !== '' && resource === `*/${a.subresource}`) ||
      resource === `${a.resource}/*`,
  );
}

const matchesPath = (url: string, path: string): boolean =>
  url === '*' || url === path || (url.endsWith('*') && path.startsWith(url.slice(0, -1)));
