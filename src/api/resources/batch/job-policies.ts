/** Validation of a Job's policies on failures, successes and replacement (upstream `pkg/apis/batch/validation`). */
import type {
  JobSpec,
  PodFailurePolicyOnExitCodesRequirement,
  PodFailurePolicyRule,
  SuccessPolicyRule,
} from '#types';
import {
  child,
  duplicate,
  type FieldError,
  index,
  invalid,
  notSupported,
  required,
  tooLong,
  tooMany,
} from '../../machinery/field.js';
import { validateNonnegative, validateQualifiedName } from '../../machinery/validation.js';
import { countIndexes, type Intervals, parseIndexesStrictly } from './indexes.js';

const ACTIONS = ['Count', 'FailIndex', 'FailJob', 'Ignore'];
const MAX_RULES = 20;
const MAX_PATTERNS = 20;
const MAX_EXIT_CODES = 255;
const MAX_INDEXES_BYTES = 64 * 1024;

export function validatePodFailurePolicy(spec: JobSpec, path: string): FieldError[] {
  const rules = spec.podFailurePolicy?.rules ?? [];
  const at = child(path, 'rules');
  const errors = rules.length > MAX_RULES ? [tooMany(at, rules.length, MAX_RULES)] : [];
  rules.forEach((rule, i) => {
    errors.push(...validateRule(spec, rule, index(at, i)));
  });
  return errors;
}

function validateRule(spec: JobSpec, rule: PodFailurePolicyRule, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const action = child(path, 'action');
  if (!rule.action)
    errors.push(required(action, `valid values: [${ACTIONS.map((a) => JSON.stringify(a)).join(' ')}]`));
  else if (rule.action === 'FailIndex' && spec.backoffLimitPerIndex === undefined)
    errors.push(invalid(action, rule.action, 'requires the backoffLimitPerIndex to be set'));
  else if (!ACTIONS.includes(rule.action)) errors.push(notSupported(action, rule.action, ACTIONS));
  if (rule.onExitCodes) errors.push(...validateExitCodes(spec, rule.onExitCodes, child(path, 'onExitCodes')));
  const patterns = rule.onPodConditions ?? [];
  if (patterns.length > 0) errors.push(...validatePatterns(patterns, child(path, 'onPodConditions')));
  const whole = (detail: string): FieldError => ({
    type: 'FieldValueInvalid',
    field: path,
    message: `Invalid value: ${detail}`,
  });
  if (rule.onExitCodes && patterns.length > 0)
    errors.push(whole('specifying both OnExitCodes and OnPodConditions is not supported'));
  if (!rule.onExitCodes && patterns.length === 0)
    errors.push(whole('specifying one of OnExitCodes and OnPodConditions is required'));
  return errors;
}

function validatePatterns(
  patterns: NonNullable<PodFailurePolicyRule['onPodConditions']>,
  path: string,
): FieldError[] {
  const errors = patterns.length > MAX_PATTERNS ? [tooMany(path, patterns.length, MAX_PATTERNS)] : [];
  patterns.forEach(({ type, status }, i) => {
    const at = index(path, i);
    errors.push(...validateQualifiedName(type ?? '', child(at, 'type')));
    const statuses = ['False', 'True', 'Unknown'];
    if (!status)
      errors.push(
        required(child(at, 'status'), `valid values: [${statuses.map((s) => JSON.stringify(s)).join(' ')}]`),
      );
    else if (!statuses.includes(status)) errors.push(notSupported(child(at, 'status'), status, statuses));
  });
  return errors;
}

function validateExitCodes(
  { template }: JobSpec,
  { operator, containerName, values = [] }: PodFailurePolicyOnExitCodesRequirement,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  const operators = ['In', 'NotIn'];
  if (!operator) errors.push(required(child(path, 'operator'), 'valid values: ["In" "NotIn"]'));
  else if (!operators.includes(operator))
    errors.push(notSupported(child(path, 'operator'), operator, operators));
  const containers = [...(template.spec?.containers ?? []), ...(template.spec?.initContainers ?? [])];
  if (containerName !== undefined && !containers.some((c) => c.name === containerName))
    errors.push(
      invalid(
        child(path, 'containerName'),
        containerName,
        'must be one of the container or initContainer names in the pod template',
      ),
    );
  const at = child(path, 'values');
  if (values.length === 0) errors.push(invalid(at, values, 'at least one value is required'));
  else if (values.length > MAX_EXIT_CODES) errors.push(tooMany(at, values.length, MAX_EXIT_CODES));
  const seen = new Set<number>();
  values.forEach((value, i) => {
    if (operator === 'In' && value === 0)
      errors.push(invalid(index(at, i), value, 'must not be 0 for the In operator'));
    if (seen.has(value)) errors.push(duplicate(index(at, i), value));
    seen.add(value);
  });
  if (values.some((value, i) => i > 0 && value < values[i - 1]!))
    errors.push(invalid(at, values, 'must be ordered'));
  return errors;
}

export function validateSuccessPolicy(spec: JobSpec, path: string): FieldError[] {
  const rules = spec.successPolicy?.rules ?? [];
  const at = child(path, 'rules');
  if (rules.length === 0)
    return [required(at, 'at least one rules must be specified when the successPolicy is specified')];
  const errors = rules.length > MAX_RULES ? [tooMany(at, rules.length, MAX_RULES)] : [];
  rules.forEach((rule, i) => {
    errors.push(...validateSuccessRule(rule, spec.completions ?? 0, index(at, i)));
  });
  return errors;
}

function validateSuccessRule(rule: SuccessPolicyRule, completions: number, path: string): FieldError[] {
  const { succeededCount, succeededIndexes } = rule;
  if (succeededCount === undefined && succeededIndexes === undefined)
    return [required(path, 'at least one of succeededCount or succeededIndexes must be specified')];
  const errors: FieldError[] = [];
  let intervals: Intervals | undefined;
  if (succeededIndexes !== undefined) {
    const at = child(path, 'succeededIndexes');
    if (succeededIndexes.length > MAX_INDEXES_BYTES) errors.push(tooLong(at, MAX_INDEXES_BYTES));
    try {
      intervals = parseIndexesStrictly(succeededIndexes, completions);
    } catch (error) {
      errors.push(
        invalid(at, succeededIndexes, `error parsing succeededIndexes: ${(error as Error).message}`),
      );
    }
  }
  if (succeededCount === undefined) return errors;
  const at = child(path, 'succeededCount');
  errors.push(...validateNonnegative(succeededCount, at));
  if (succeededCount > completions)
    errors.push(
      invalid(
        at,
        succeededCount,
        `must be less than or equal to ${completions} (the number of specified completions)`,
      ),
    );
  const listed = intervals && countIndexes(intervals);
  if (listed !== undefined && succeededCount > listed)
    errors.push(
      invalid(
        at,
        succeededCount,
        `must be less than or equal to ${listed} (the number of indexes in the specified succeededIndexes field)`,
      ),
    );
  return errors;
}

export function validateReplacementPolicy(spec: JobSpec, path: string): FieldError[] {
  const policy = spec.podReplacementPolicy;
  if (policy === undefined) return [];
  const supported = spec.podFailurePolicy ? ['Failed'] : ['Failed', 'TerminatingOrFailed'];
  return supported.includes(policy) ? [] : [notSupported(path, policy, supported)];
}
