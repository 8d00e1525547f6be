/** Validation and defaults of a Job's spec, in Jobs and in CronJobs' templates (upstream `pkg/apis/batch`). */
import type { JobSpec } from '#types';
import { child, type FieldError, invalid, notSupported, required } from '../../machinery/field.js';
import { dns1123Subdomain } from '../../machinery/names.js';
import { labelSelector } from '../../machinery/selectors.js';
import { checked, validateLabelSelector, validateNonnegative } from '../../machinery/validation.js';
import { defaultPodTemplate } from '../core/podspec/defaults.js';
import { validatePodTemplate } from '../core/podspec/validate-spec.js';
import {
  validatePodFailurePolicy,
  validateReplacementPolicy,
  validateSuccessPolicy,
} from './job-policies.js';

const MAX_PARALLELISM_INDEXED = 100_000;
const MAX_FAILED_INDEXES = 100_000;
const MANY_COMPLETIONS = 100_000;
/** With backoffLimitPerIndex and many completions. */
const MAX_PARALLELISM_MANY = 10_000;
const MAX_MANAGED_BY = 63;
const MODES = ['NonIndexed', 'Indexed'];

export const isIndexed = (spec: JobSpec): boolean => spec.completionMode === 'Indexed';

/** Defaults of the pod template and of policies' patterns. */
export function defaultTemplate(spec: JobSpec): void {
  spec.template ??= {} as JobSpec['template'];
  defaultPodTemplate(spec.template);
  for (const rule of spec.podFailurePolicy?.rules ?? [])
    for (const pattern of rule.onPodConditions ?? []) pattern.status ||= 'True';
}

/** What a Job's own spec gets; that of a CronJob's template stays as it is. */
export function defaultJobSpec(spec: JobSpec): void {
  if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1;
  spec.parallelism ??= 1;
  spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? 6 : 2 ** 31 - 1;
  spec.completionMode ??= 'NonIndexed';
  spec.suspend ??= false;
  spec.manualSelector ??= false;
  spec.podReplacementPolicy ??= spec.podFailurePolicy ? 'Failed' : 'TerminatingOrFailed';
  defaultTemplate(spec);
}

/** The spec of a Job, selector included. */
export function validateJobSpec(spec: JobSpec, path: string): FieldError[] {
  const errors = validateSpecOfTemplate(spec, path);
  const at = child(path, 'selector');
  if (!spec.selector) return [...errors, required(at)];
  errors.push(...validateLabelSelector(spec.selector, at));
  const labels = spec.template.metadata?.labels;
  if (!selects(spec, labels ?? {}))
    errors.push(
      invalid(
        child(path, 'template', 'metadata', 'labels'),
        labels,
        '`selector` does not match template `labels`',
      ),
    );
  return errors;
}

function selects(spec: JobSpec, labels: Record<string, string>): boolean {
  try {
    return labelSelector(spec.selector).matches(labels);
  } catch {
    // A selector that can't be read has errors of its own.
    return true;
  }
}

/** All but the selector. */
export function validateSpecOfTemplate(spec: JobSpec, path: string): FieldError[] {
  const at = (...names: string[]) => child(path, ...names);
  const errors: FieldError[] = [];
  for (const field of COUNTS) errors.push(...validateNonnegative(spec[field], at(field)));
  if (spec.maxFailedIndexes !== undefined && spec.backoffLimitPerIndex === undefined)
    errors.push(required(at('backoffLimitPerIndex'), 'when maxFailedIndexes is specified'));
  if (spec.managedBy !== undefined) errors.push(...validateManagedBy(spec.managedBy, at('managedBy')));
  errors.push(...validateMode(spec, path));
  if (spec.podFailurePolicy) errors.push(...validatePodFailurePolicy(spec, at('podFailurePolicy')));
  if (spec.successPolicy)
    errors.push(
      ...(isIndexed(spec)
        ? validateSuccessPolicy(spec, at('successPolicy'))
        : [invalid(at('successPolicy'), spec.successPolicy, 'requires indexed completion mode')]),
    );
  errors.push(...validateReplacementPolicy(spec, at('podReplacementPolicy')));
  errors.push(...validatePodTemplate(spec.template, at('template')));
  return [...errors, ...validateRestartPolicy(spec, at('template', 'spec', 'restartPolicy'))];
}

const COUNTS = [
  'parallelism',
  'completions',
  'activeDeadlineSeconds',
  'backoffLimit',
  'ttlSecondsAfterFinished',
  'backoffLimitPerIndex',
  'maxFailedIndexes',
] as const;

/** A domain, a slash and a path (apimachinery `IsDomainPrefixedPath`). */
function validateManagedBy(value: string, path: string): FieldError[] {
  if (value === '') return [required(path)];
  const slash = value.indexOf('/');
  if (slash <= 0 || slash === value.length - 1)
    return [invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')];
  const errors = checked(path, value.slice(0, slash), dns1123Subdomain);
  if (!/^[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/.test(value.slice(slash + 1)))
    errors.push(invalid(path, value.slice(slash + 1), 'Invalid path'));
  if (value.length > MAX_MANAGED_BY)
    errors.push({
      type: 'FieldValueTooLong',
      field: path,
      message: `Too long: may not be more than ${MAX_MANAGED_BY} bytes`,
    });
  return errors;
}

function validateMode(spec: JobSpec, path: string): FieldError[] {
  const { completionMode: mode, backoffLimitPerIndex, maxFailedIndexes } = spec;
  const at = child(path, 'completionMode');
  const errors: FieldError[] = [];
  if (mode !== undefined && !MODES.includes(mode)) errors.push(notSupported(at, mode, MODES));
  if (mode === 'Indexed') return [...errors, ...validateIndexed(spec, path)];
  if (mode !== undefined && mode !== 'NonIndexed') return errors;
  const needsIndexes = { backoffLimitPerIndex, maxFailedIndexes };
  for (const [field, value] of Object.entries(needsIndexes))
    if (value !== undefined)
      errors.push(invalid(child(path, field), value, 'requires indexed completion mode'));
  return errors;
}

function validateIndexed(spec: JobSpec, path: string): FieldError[] {
  const { completions, parallelism = 0, maxFailedIndexes } = spec;
  const errors: FieldError[] = [];
  const atMost = (field: string, value: number, max: number, when: string) => {
    if (value > max)
      errors.push(invalid(child(path, field), value, `must be less than or equal to ${max}${when}`));
  };
  if (completions === undefined)
    errors.push(required(child(path, 'completions'), 'when completion mode is Indexed'));
  atMost('parallelism', parallelism, MAX_PARALLELISM_INDEXED, ' when completion mode is Indexed');
  if (completions !== undefined && maxFailedIndexes !== undefined && maxFailedIndexes > completions)
    errors.push(
      invalid(child(path, 'maxFailedIndexes'), maxFailedIndexes, 'must be less than or equal to completions'),
    );
  atMost('maxFailedIndexes', maxFailedIndexes ?? 0, MAX_FAILED_INDEXES, '');
  if (spec.backoffLimitPerIndex === undefined || (completions ?? 0) <= MANY_COMPLETIONS) return errors;
  const when = ` when completions are above ${MANY_COMPLETIONS} and used with backoff limit per index`;
  if (maxFailedIndexes === undefined)
    errors.push(
      required(
        child(path, 'maxFailedIndexes'),
        `must be specified when completions is above ${MANY_COMPLETIONS}`,
      ),
    );
  atMost('parallelism', parallelism, MAX_PARALLELISM_MANY, when);
  atMost('maxFailedIndexes', maxFailedIndexes ?? 0, MAX_PARALLELISM_MANY, when);
  return errors;
}

function validateRestartPolicy(spec: JobSpec, path: string): FieldError[] {
  const policy = spec.template.spec?.restartPolicy ?? '';
  if (policy === '' || policy === 'Always') return [required(path, 'valid values: "OnFailure", "Never"')];
  if (policy !== 'OnFailure' && policy !== 'Never')
    return [notSupported(path, policy, ['OnFailure', 'Never'])];
  if (spec.podFailurePolicy && policy !== 'Never')
    return [invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified')];
  return [];
}
