/** Validation of `metav1.Condition` lists (apimachinery `apis/meta/v1/validation`). */
import type { Condition } from '#types';
import {
  child,
  duplicate,
  type FieldError,
  index,
  invalid,
  notSupported,
  required,
  tooLong,
} from './field.js';
import { conditionReason } from './names.js';
import { checked, validateQualifiedName } from './validation.js';

const STATUSES = ['False', 'True', 'Unknown'];
const MAX_REASON = 1024;
const MAX_MESSAGE = 32 * 1024;

export const validateConditions = (conditions: Condition[] | undefined, path: string): FieldError[] =>
  (conditions ?? []).flatMap((condition, i) => {
    const at = index(path, i);
    const repeated = conditions!.findIndex(({ type }) => type === condition.type) < i;
    return [
      ...(repeated ? [duplicate(child(at, 'type'), condition.type)] : []),
      ...validateCondition(condition, at),
    ];
  });

function validateCondition(condition: Condition, path: string): FieldError[] {
  const { type = '', status = '', observedGeneration = 0, lastTransitionTime, reason, message } = condition;
  const errors = validateQualifiedName(type, child(path, 'type'));
  const at = child(path, 'reason');
  if (!STATUSES.includes(status)) errors.push(notSupported(child(path, 'status'), status, STATUSES));
  if (observedGeneration < 0)
    errors.push(
      invalid(child(path, 'observedGeneration'), observedGeneration, 'must be greater than or equal to zero'),
    );
  if (!lastTransitionTime) errors.push(required(child(path, 'lastTransitionTime')));
  if (!reason) errors.push(required(at));
  else errors.push(...checked(at, reason, conditionReason));
  if (Buffer.byteLength(reason ?? '') > MAX_REASON) errors.push(tooLong(at, MAX_REASON));
  if (Buffer.byteLength(message ?? '') > MAX_MESSAGE)
    errors.push(tooLong(child(path, 'message'), MAX_MESSAGE));
  return errors;
}
