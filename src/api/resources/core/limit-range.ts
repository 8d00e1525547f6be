/** LimitRanges: what objects of a namespace may ask for, and what they get when they don't say. */
import type { LimitRange, LimitRangeItem } from '#types';
import {
  child,
  duplicate,
  type FieldError,
  forbidden,
  index,
  invalid,
  key,
  required,
} from '../../machinery/field.js';
import { qualifiedName } from '../../machinery/names.js';
import { compareQuantities, quantityMilli } from '../../machinery/quantity.js';
import { checked } from '../../machinery/validation.js';
import { nameColumn } from '../columns.js';
import { defineResource } from '../define.js';
import { createdAtColumn } from '../rbac/role.js';
import {
  mayOvercommit,
  validateContainerResource,
  validateResourceName,
} from './podspec/validate-resources.js';

const TYPES = new Set(['Container', 'PersistentVolumeClaim', 'Pod']);

/** For containers, a limit stands for what is not said of the others. */
function defaults({ spec }: LimitRange): void {
  for (const item of spec?.limits ?? []) {
    if (item.type !== 'Container') continue;
    item.default = { ...item.max, ...item.default };
    item.defaultRequest = { ...item.min, ...item.default, ...item.defaultRequest };
    for (const field of ['default', 'defaultRequest'] as const)
      if (Object.keys(item[field] ?? {}).length === 0) delete item[field];
  }
}

function validate({ spec }: LimitRange): FieldError[] {
  const limits = spec?.limits ?? [];
  return limits.flatMap((item, i) => {
    const at = index('spec.limits', i);
    const errors = checked(child(at, 'type'), item.type ?? '', qualifiedName);
    if (errors.length === 0 && !item.type.includes('/') && !TYPES.has(item.type))
      errors.push(invalid(child(at, 'type'), item.type, 'must be a standard limit type or fully qualified'));
    if (limits.findIndex((other) => other.type === item.type) < i)
      errors.push(duplicate(child(at, 'type'), item.type));
    if (item.type === 'Pod')
      for (const field of ['default', 'defaultRequest'] as const)
        if (Object.keys(item[field] ?? {}).length > 0)
          errors.push(forbidden(child(at, field), "may not be specified when `type` is 'Pod'"));
    if (item.type === 'PersistentVolumeClaim' && !item.min?.['storage'] && !item.max?.['storage'])
      errors.push(
        required(
          child(at, 'limits'),
          'either minimum or maximum storage value is required, but neither was provided',
        ),
      );
    errors.push(...validateNames(item, at));
    return [...errors, ...resourceNames(item).flatMap((name) => validateOrder(item, name, at))];
  });
}

const LISTS = ['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio'] as const;

/** Those that count: pods have no defaults. */
const listsOf = ({ type }: LimitRangeItem) =>
  LISTS.filter((list) => type !== 'Pod' || !list.startsWith('default'));

/** Pods and containers are limited in what containers can ask for, claims and others in any resource. */
function validateNames(item: LimitRangeItem, path: string): FieldError[] {
  const ofContainers = item.type === 'Pod' || item.type === 'Container';
  const validateName = ofContainers ? validateContainerResource : validateResourceName;
  return listsOf(item).flatMap((list) =>
    Object.keys(item[list] ?? {}).flatMap((name) => validateName(name, key(child(path, list), name))),
  );
}

const resourceNames = (item: LimitRangeItem): string[] =>
  [...new Set(listsOf(item).flatMap((list) => Object.keys(item[list] ?? {})))].sort();

/** min ≤ default request ≤ default ≤ max. */
function validateOrder(item: LimitRangeItem, name: string, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const min = item.min?.[name];
  const max = item.max?.[name];
  const limit = item.type === 'Pod' ? undefined : item.default?.[name];
  const request = item.type === 'Pod' ? undefined : item.defaultRequest?.[name];
  const ratio = item.maxLimitRequestRatio?.[name];
  const check = (
    field: string,
    shown: string,
    low?: string,
    lowName?: string,
    high?: string,
    highName?: string,
  ) => {
    if (low !== undefined && high !== undefined && compareQuantities(low, high) > 0)
      errors.push(
        invalid(
          key(child(path, field), name),
          shown,
          `${lowName} value ${low} is greater than ${highName} value ${high}`,
        ),
      );
  };
  check('min', min!, min, 'min', max, 'max');
  check('defaultRequest', request!, min, 'min', request, 'default request');
  check('defaultRequest', request!, request, 'default request', max, 'max');
  check('defaultRequest', request!, request, 'default request', limit, 'default limit');
  check('default', min!, min, 'min', limit, 'default');
  check('default', max!, limit, 'default', max, 'max');
  if (ratio !== undefined)
    errors.push(...validateRatio(ratio, min, max, key(child(path, 'maxLimitRequestRatio'), name)));
  if (
    !mayOvercommit(name) &&
    limit !== undefined &&
    request !== undefined &&
    compareQuantities(limit, request) !== 0
  )
    errors.push(
      invalid(
        key(child(path, 'defaultRequest'), name),
        request,
        `default value ${limit} must equal to defaultRequest value ${request} in ${name}`,
      ),
    );
  return errors;
}

function validateRatio(
  ratio: string,
  min: string | undefined,
  max: string | undefined,
  at: string,
): FieldError[] {
  const errors: FieldError[] = [];
  if (compareQuantities(ratio, 1) < 0) errors.push(invalid(at, ratio, `ratio ${ratio} is less than 1`));
  if (min !== undefined && max !== undefined) {
    const most = quantityMilli(max) / quantityMilli(min);
    if (quantityMilli(ratio) / 1000 > most)
      errors.push(invalid(at, ratio, `ratio ${ratio} is greater than max/min = ${most.toFixed(6)}`));
  }
  return errors;
}

export const limitRanges = defineResource<LimitRange>({
  group: '',
  version: 'v1',
  kind: 'LimitRange',
  plural: 'limitranges',
  shortNames: ['limits'],
  namespaced: true,
  defaults,
  validate,
  columns: [nameColumn, createdAtColumn],
});
