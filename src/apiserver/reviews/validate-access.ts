/** Validation of access reviews (upstream `authorization/validation`). */
import type { SubjectAccessReview } from '#types';
import { child, type FieldError, index, invalid, required } from '../../api/machinery/field.js';
import type { KubeObject } from '../../api/machinery/types.js';
import { validateFieldRequirement, validateLabelRequirement } from '../../api/machinery/validation.js';

type Spec = SubjectAccessReview['spec'];
type Attributes = NonNullable<Spec['resourceAttributes']>;

const specOf = (object: KubeObject): Spec => object['spec'] ?? {};

export const validateOwnAccess = (object: KubeObject): FieldError[] => [
  ...validateQuestion(specOf(object)),
  ...validateAttributes(specOf(object).resourceAttributes),
  ...validateMetadata(object, [], 'must be empty'),
];

export const validateAccess = (object: KubeObject): FieldError[] => [
  ...validateSubject(specOf(object)),
  ...validateMetadata(object, [], 'must be empty'),
];

/** `namespace` is that of the request. */
export function validateLocalAccess(object: KubeObject, namespace: string): FieldError[] {
  const { resourceAttributes: r, nonResourceAttributes: n } = specOf(object);
  const errors = [
    ...validateSubject(specOf(object)),
    ...validateMetadata(object, ['namespace'], 'must be empty except for namespace'),
  ];
  if (r && (r.namespace ?? '') !== namespace)
    errors.push(
      invalid('spec.resourceAttributes.namespace', r.namespace ?? '', 'must match metadata.namespace'),
    );
  if (n) errors.push(invalid('spec.nonResourceAttributes', shown(n), 'disallowed on this kind of request'));
  return errors;
}

function validateSubject(spec: Spec): FieldError[] {
  const errors = validateQuestion(spec);
  if (!spec.user && !spec.groups?.length)
    errors.push(invalid('spec.user', '', 'at least one of user or group must be specified'));
  return [...errors, ...validateAttributes(spec.resourceAttributes)];
}

function validateQuestion({ resourceAttributes: r, nonResourceAttributes: n }: Spec): FieldError[] {
  if (r && n)
    return [
      invalid(
        'spec.nonResourceAttributes',
        shown(n),
        'cannot be specified in combination with resourceAttributes',
      ),
    ];
  if (r || n) return [];
  const why = 'exactly one of nonResourceAttributes or resourceAttributes must be specified';
  return [invalid('spec.resourceAttributes', null, why)];
}

/** Upstream prints its internal type, whose fields begin with capitals. */
const shown = ({ path = '', verb = '' }: NonNullable<Spec['nonResourceAttributes']>) => ({
  Path: path,
  Verb: verb,
});

/** Managed fields and what the server sets itself don't count. */
function validateMetadata(object: KubeObject, allowed: string[], why: string): FieldError[] {
  const { managedFields: _, creationTimestamp: __, ...rest } = object.metadata ?? {};
  const given = Object.entries(rest).filter(
    ([name, value]) => value !== undefined && !allowed.includes(name),
  );
  return given.length > 0 ? [invalid('metadata', rest, why)] : [];
}

function validateAttributes(attributes: Attributes | undefined): FieldError[] {
  const path = 'spec.resourceAttributes';
  return [
    ...validateSelector(attributes?.fieldSelector, child(path, 'fieldSelector'), validateFieldRequirement),
    ...validateSelector(attributes?.labelSelector, child(path, 'labelSelector'), validateLabelRequirement),
  ];
}

function validateSelector<R>(
  selector: { rawSelector?: string; requirements?: R[] } | undefined,
  path: string,
  validateRequirement: (requirement: R, path: string) => FieldError[],
): FieldError[] {
  if (!selector) return [];
  const { rawSelector = '', requirements = [] } = selector;
  const at = child(path, 'requirements');
  const errors = requirements.flatMap((one, i) => validateRequirement(one, index(at, i)));
  if (rawSelector !== '' && requirements.length > 0)
    errors.unshift(
      invalid(child(path, 'rawSelector'), rawSelector, 'may not specified at the same time as requirements'),
    );
  if (rawSelector === '' && requirements.length === 0)
    errors.unshift(required(at, `when ${path} is specified, requirements or rawSelector is required`));
  return errors;
}
