/** Validation of a FlowSchema's rules: whose requests, for what. */
import type { NonResourcePolicyRule, PolicyRulesWithSubjects, ResourcePolicyRule, Subject } from '#types';
import {
  child,
  type FieldError,
  forbidden,
  index,
  invalid,
  notSupported,
  required,
} from '../../machinery/field.js';
import { dns1123Label, dns1123Subdomain } from '../../machinery/names.js';
import { checked } from '../../machinery/validation.js';

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'proxy', 'update', 'watch'];

export function validateFlowRule(rule: PolicyRulesWithSubjects, path: string): FieldError[] {
  const { subjects = [], resourceRules = [], nonResourceRules = [] } = rule;
  const at = child(path, 'subjects');
  const errors =
    subjects.length > 0
      ? subjects.flatMap((subject, i) => validateSubject(subject, index(at, i)))
      : [required(at, 'subjects must contain at least one value')];
  if (resourceRules.length === 0 && nonResourceRules.length === 0)
    errors.push(required(path, 'at least one of resourceRules and nonResourceRules has to be non-empty'));
  return [
    ...errors,
    ...resourceRules.flatMap((each, i) => validateResourceRule(each, index(child(path, 'resourceRules'), i))),
    ...nonResourceRules.flatMap((each, i) =>
      validateNonResourceRule(each, index(child(path, 'nonResourceRules'), i)),
    ),
  ];
}

/** The field that says who of a kind of subject is meant. */
const FIELDS = { ServiceAccount: 'serviceAccount', User: 'user', Group: 'group' } as const;

function validateSubject(subject: Subject, path: string): FieldError[] {
  const kind = subject.kind as keyof typeof FIELDS;
  const own = FIELDS[kind];
  if (!own) return [notSupported(child(path, 'kind'), subject.kind ?? '', Object.keys(FIELDS).sort())];
  const errors = subject[own]
    ? validateWho(subject, own, child(path, own))
    : [required(child(path, own), `${own} is required when subject kind is '${kind}'`)];
  for (const [other, field] of Object.entries(FIELDS))
    if (field !== own && subject[field])
      errors.push(forbidden(child(path, field), `${field} is forbidden when subject kind is not '${other}'`));
  return errors;
}

function validateWho(subject: Subject, field: (typeof FIELDS)['User'] | string, path: string): FieldError[] {
  const { name = '', namespace = '' } = subject[field as 'serviceAccount']!;
  const at = child(path, 'name');
  if (field !== 'serviceAccount') return name === '' ? [required(at)] : [];
  const space = child(path, 'namespace');
  return [
    ...(name === '' ? [required(at)] : name === '*' ? [] : checked(at, name, dns1123Subdomain)),
    ...(namespace === ''
      ? [required(space, 'must specify namespace for service account')]
      : checked(space, namespace, dns1123Label)),
  ];
}

function validateVerbs(verbs: string[] = [], path: string): FieldError[] {
  if (verbs.length === 0) return [required(path, 'verbs must contain at least one value')];
  if (verbs.includes('*')) return validateAlone(verbs, path, 'verbs');
  return verbs.every((verb) => VERBS.includes(verb)) ? [] : [notSupported(path, verbs, VERBS)];
}

/** `*` stands for all others. */
const validateAlone = (list: string[], path: string, what: string): FieldError[] =>
  list.length > 1 && list.includes('*')
    ? [invalid(path, list, `if '*' is present, must not specify other ${what}`)]
    : [];

function validateResourceRule(rule: ResourcePolicyRule, path: string): FieldError[] {
  const { verbs, apiGroups = [], resources = [], namespaces = [], clusterScope } = rule;
  const at = child(path, 'namespaces');
  const errors = validateVerbs(verbs, child(path, 'verbs'));
  if (apiGroups.length === 0)
    errors.push(required(child(path, 'apiGroups'), 'resource rules must supply at least one api group'));
  errors.push(...validateAlone(apiGroups, child(path, 'apiGroups'), 'api groups'));
  if (resources.length === 0)
    errors.push(required(child(path, 'resources'), 'resource rules must supply at least one resource'));
  errors.push(...validateAlone(resources, child(path, 'resources'), 'resources'));
  if (namespaces.length === 0 && !clusterScope)
    errors.push(
      required(at, 'resource rules that are not cluster scoped must supply at least one namespace'),
    );
  if (namespaces.includes('*')) return [...errors, ...validateAlone(namespaces, at, 'namespaces')];
  const intro = "each member of this list must be '*' or a DNS-1123 label; ";
  return [
    ...errors,
    ...namespaces.flatMap((name, i) =>
      dns1123Label(name).map((message) => invalid(index(at, i), name, intro + message)),
    ),
  ];
}

function validateNonResourceRule({ verbs, nonResourceURLs = [] }: NonResourcePolicyRule, path: string) {
  const errors = validateVerbs(verbs, child(path, 'verbs'));
  const at = child(path, 'nonResourceURLs');
  if (nonResourceURLs.length === 0)
    errors.push(required(at, 'nonResourceURLs must contain at least one value'));
  if (nonResourceURLs.includes('*'))
    return [...errors, ...validateAlone(nonResourceURLs, at, 'non-resource URLs')];
  return [...errors, ...nonResourceURLs.flatMap((url, i) => validateUrl(url, index(at, i)))];
}

function validateUrl(url: string, path: string): FieldError[] {
  const wrong = (detail: string) => [invalid(path, url, detail)];
  if (url === '') return wrong('must not be empty');
  if (!url.startsWith('/')) return wrong('must start with slash');
  if (url.includes(' ')) return wrong('must not contain white-space');
  if (url.includes('//')) return wrong('must not contain double slash');
  return /^[^*]*(\/\*)?$/.test(url) ? [] : wrong('wildcard can only do suffix matching');
}
