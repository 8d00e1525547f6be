/** Validation of the status that both kinds of flow control have: conditions, each type once. */
import type { FlowSchema, PriorityLevelConfiguration } from '#types';
import { child, duplicate, type FieldError, index, required } from '../../machinery/field.js';

export function validateStatusConditions({ status }: FlowSchema | PriorityLevelConfiguration): FieldError[] {
  const types = (status?.conditions ?? []).map(({ type }) => type ?? '');
  return types.flatMap((type, i) => {
    const at = child(index('status.conditions', i), 'type');
    return [
      ...(types.indexOf(type) < i ? [duplicate(at, type)] : []),
      ...(type === '' ? [required(at, 'must not be empty')] : []),
    ];
  });
}
