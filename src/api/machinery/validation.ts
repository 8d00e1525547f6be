/** Validation of what every object has: metadata, labels, selectors (apimachinery `api/validation`). */
import type {
  FieldSelectorRequirement,
  LabelSelector,
  LabelSelectorRequirement,
  ManagedFieldsEntry,
  ObjectMeta,
  OwnerReference,
} from '#types';
import { child, type FieldError, forbidden, index, invalid, required, tooLong } from './field.js';
import * as names from './names.js';

const MAX_ANNOTATIONS_BYTES = 256 * 1024;
const CORE_FINALIZERS = new Set(['kubernetes', 'orphan', 'foregroundDeletion']);

/** Every message of a name check as a field error. */
export const checked = (path: string, value: string, check: names.NameCheck): FieldError[] =>
  check(value).map((message) => invalid(path, value, message));

export const validateDns1123Label = (value: string, path: string): FieldError[] =>
  checked(path, value, names.dns1123Label);

export const validateDns1123Subdomain = (value: string, path: string): FieldError[] =>
  checked(path, value, names.dns1123Subdomain);

export const validateQualifiedName = (value: string, path: string): FieldError[] =>
  checked(path, value, names.qualifiedName);

export const validateNonnegative = (value: number | undefined, path: string): FieldError[] =>
  value !== undefined && value < 0 ? [invalid(path, value, 'must be greater than or equal to 0')] : [];

/** A number from 1 to 65535, or a port name. */
export const validatePortNumOrName = (port: number | string | undefined, path: string): FieldError[] =>
  typeof port === 'string'
    ? checked(path, port, names.portName)
    : names.portNumber(port ?? 0).map((message) => invalid(path, port ?? 0, message));

export function validateLabels(labels: Record<string, string> | undefined, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [key, value] of Object.entries(labels ?? {})) {
    errors.push(...validateQualifiedName(key, path));
    errors.push(...checked(path, value, names.labelValue));
  }
  return errors;
}

export function validateAnnotations(
  annotations: Record<string, string> | undefined,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  let size = 0;
  for (const [key, value] of Object.entries(annotations ?? {})) {
    for (const message of names.qualifiedName(key.toLowerCase())) errors.push(invalid(path, key, message));
    size += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (size > MAX_ANNOTATIONS_BYTES) errors.push(tooLong(path, MAX_ANNOTATIONS_BYTES));
  return errors;
}

export function validateLabelSelector(selector: LabelSelector | undefined, path: string): FieldError[] {
  if (!selector) return [];
  return [
    ...validateLabels(selector.matchLabels, child(path, 'matchLabels')),
    ...(selector.matchExpressions ?? []).flatMap((requirement, i) =>
      validateRequirement(requirement, index(child(path, 'matchExpressions'), i)),
    ),
  ];
}

function validateRequirement(requirement: LabelSelectorRequirement, path: string): FieldError[] {
  const { operator } = requirement;
  const errors = validateLabelRequirement(requirement, path);
  if (!OPERATORS.has(operator))
    errors.unshift(invalid(child(path, 'operator'), operator ?? '', 'not a valid selector operator'));
  return errors;
}

const OPERATORS = new Set(['In', 'NotIn', 'Exists', 'DoesNotExist']);

/** One requirement of a selector by labels, whatever its operator is (upstream AllowUnknownOperatorInRequirement). */
export function validateLabelRequirement(requirement: LabelSelectorRequirement, path: string): FieldError[] {
  const errors = validateOperands(requirement, path);
  errors.push(...validateQualifiedName(requirement.key ?? '', child(path, 'key')));
  (requirement.values ?? []).forEach((value, i) => {
    errors.push(...checked(index(child(path, 'values'), i), value, names.labelValue));
  });
  return errors;
}

/** The same of a selector by fields. */
export function validateFieldRequirement(requirement: FieldSelectorRequirement, path: string): FieldError[] {
  const errors = validateOperands(requirement, path);
  return requirement.key ? errors : [required(child(path, 'key'), 'must be specified'), ...errors];
}

function validateOperands(
  { operator, values = [] }: LabelSelectorRequirement | FieldSelectorRequirement,
  path: string,
): FieldError[] {
  const at = child(path, 'values');
  if ((operator === 'In' || operator === 'NotIn') && values.length === 0)
    return [required(at, "must be specified when `operator` is 'In' or 'NotIn'")];
  if ((operator === 'Exists' || operator === 'DoesNotExist') && values.length > 0)
    return [forbidden(at, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")];
  return [];
}

export interface MetaRules {
  namespaced: boolean;
  /** DNS-1123 subdomain when absent. */
  validateName?: names.NameCheck;
  /** Whether finalizers need no domain, as those of custom resources and their definitions. */
  plainFinalizers?: boolean;
}

/** Metadata of an object that is created or replaced; its name has been generated already. */
export function validateObjectMeta(meta: ObjectMeta, rules: MetaRules, path = 'metadata'): FieldError[] {
  const check = rules.validateName ?? names.dns1123Subdomain;
  const errors: FieldError[] = [];
  if (meta.generateName)
    for (const message of check(names.maskTrailingDash(meta.generateName)))
      errors.push(invalid(child(path, 'generateName'), meta.generateName, message));
  if (!meta.name) errors.push(required(child(path, 'name'), 'name or generateName is required'));
  else errors.push(...checked(child(path, 'name'), meta.name, check));
  errors.push(...validateNamespaceOf(meta, rules.namespaced, child(path, 'namespace')));
  errors.push(...validateNonnegative(meta.generation, child(path, 'generation')));
  errors.push(...validateLabels(meta.labels, child(path, 'labels')));
  errors.push(...validateAnnotations(meta.annotations, child(path, 'annotations')));
  errors.push(...validateOwnerReferences(meta.ownerReferences ?? [], child(path, 'ownerReferences')));
  errors.push(...validateFinalizers(meta.finalizers ?? [], child(path, 'finalizers'), rules.plainFinalizers));
  errors.push(...validateManagedFields(meta.managedFields ?? [], child(path, 'managedFields')));
  return errors;
}

function validateNamespaceOf(meta: ObjectMeta, namespaced: boolean, path: string): FieldError[] {
  if (!namespaced) return meta.namespace ? [forbidden(path, 'not allowed on this type')] : [];
  return meta.namespace ? checked(path, meta.namespace, names.dns1123Label) : [required(path)];
}

function validateOwnerReferences(references: OwnerReference[], path: string): FieldError[] {
  const errors: FieldError[] = [];
  let controller: OwnerReference | undefined;
  for (const reference of references) {
    const empty = (field: 'kind' | 'name' | 'uid') => {
      if (!reference[field])
        errors.push(invalid(child(path, field), reference[field] ?? '', 'must not be empty'));
    };
    const version = (reference.apiVersion ?? '').split('/').at(-1);
    if (!version)
      errors.push(
        invalid(child(path, 'apiVersion'), reference.apiVersion ?? '', 'version must not be empty'),
      );
    empty('kind');
    empty('name');
    empty('uid');
    if (reference.apiVersion === 'v1' && reference.kind === 'Event')
      errors.push(invalid(path, reference, '/v1, Kind=Event is disallowed from being an owner'));
    if (!reference.controller) continue;
    if (controller)
      errors.push(
        invalid(
          path,
          references,
          `Only one reference can have Controller set to true. Found "true" in references for ${controller.kind}/${controller.name} and ${reference.kind}/${reference.name}`,
        ),
      );
    else controller = reference;
  }
  return errors;
}

/** `kubernetes`, `orphan`, `foregroundDeletion`, or a name with a domain. */
export function validateFinalizerName(value: string, path: string): FieldError[] {
  const errors = validateQualifiedName(value, path);
  if (errors.length === 0 && !value.includes('/') && !CORE_FINALIZERS.has(value))
    errors.push(invalid(path, value, 'name is neither a standard finalizer name nor is it fully qualified'));
  return errors;
}

function validateFinalizers(finalizers: string[], path: string, plain = false): FieldError[] {
  const errors = finalizers.flatMap((name) => validateQualifiedName(name, path));
  if (finalizers.includes('orphan') && finalizers.includes('foregroundDeletion'))
    errors.push(invalid(path, finalizers, 'finalizer orphan and foregroundDeletion cannot be both set'));
  finalizers.forEach((name, i) => {
    if (!plain && !name.includes('/') && !CORE_FINALIZERS.has(name))
      errors.push(
        invalid(index(path, i), name, 'name is neither a standard finalizer name nor is it fully qualified'),
      );
  });
  return errors;
}

function validateManagedFields(entries: ManagedFieldsEntry[], path: string): FieldError[] {
  const errors: FieldError[] = [];
  entries.forEach((entry, i) => {
    const at = index(path, i);
    if (entry.operation !== 'Apply' && entry.operation !== 'Update')
      errors.push(invalid(child(at, 'operation'), entry.operation ?? '', 'must be `Apply` or `Update`'));
    if (entry.fieldsType && entry.fieldsType !== 'FieldsV1')
      errors.push(invalid(child(at, 'fieldsType'), entry.fieldsType, 'must be `FieldsV1`'));
    if (Buffer.byteLength(entry.manager ?? '') > 128) errors.push(tooLong(child(at, 'manager'), 128));
  });
  return errors;
}

/** What an update must not change in metadata. The caller fills an empty uid and resourceVersion from `old`. */
export function validateObjectMetaUpdate(meta: ObjectMeta, old: ObjectMeta, path = 'metadata'): FieldError[] {
  const errors: FieldError[] = [];
  if (old.deletionTimestamp) {
    const added = (meta.finalizers ?? []).filter((name) => !(old.finalizers ?? []).includes(name)).sort();
    if (added.length > 0)
      errors.push(
        forbidden(
          child(path, 'finalizers'),
          `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((f) => JSON.stringify(f)).join(', ')}}`,
        ),
      );
  }
  if ((meta.generation ?? 0) < (old.generation ?? 0))
    errors.push(invalid(child(path, 'generation'), meta.generation ?? 0, 'must not be decremented'));
  for (const field of [
    'name',
    'namespace',
    'uid',
    'creationTimestamp',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
  ] as const)
    errors.push(...validateImmutable(meta[field], old[field], child(path, field)));
  return errors;
}

/** An error unless both values are the same JSON. */
export const validateImmutable = (value: unknown, old: unknown, path: string): FieldError[] =>
  sameJson(value, old) ? [] : [invalid(path, value, 'field is immutable')];

/**
 * Whether two JSON values are the same, as Go's semantic equality sees them: the order of keys does not matter,
 * and what is absent equals an empty list or map.
 */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (isEmpty(a) && isEmpty(b)) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => sameJson(item, b[i]));
  }
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null || Array.isArray(b))
    return false;
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  for (const key in left) if (!sameJson(left[key], right[key])) return false;
  for (const key in right) if (!(key in left) && !isEmpty(right[key])) return false;
  return true;
}

/** Absent, or a list or map of no elements. A struct whose fields are all absent counts as well. */
function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === 'object' && Object.keys(value).length === 0;
}
