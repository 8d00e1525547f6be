/** The selectors of a request in the form of reviews (KEP-4601): they only narrow what is asked for. */
import type { FieldSelectorRequirement, LabelSelectorRequirement, ResourceAttributes } from '#types';
import { type LabelOperator, parseFieldSelector, parseLabelSelector } from '../../api/machinery/selectors.js';
import type { Attributes } from '../user.js';

const OPERATORS: Partial<Record<LabelOperator, string>> = {
  '=': 'In',
  '==': 'In',
  in: 'In',
  '!=': 'NotIn',
  notin: 'NotIn',
  exists: 'Exists',
  '!': 'DoesNotExist',
};

/** Empty where nothing narrows; a malformed selector is as none. */
export function selectorsOf({
  fieldSelector = '',
  labelSelector = '',
}: Pick<Attributes, 'fieldSelector' | 'labelSelector'>): Pick<
  ResourceAttributes,
  'fieldSelector' | 'labelSelector'
> {
  const fields = attempt(() => fieldRequirements(fieldSelector));
  const labels = attempt(() => labelRequirements(labelSelector));
  return {
    ...(fields.length > 0 && { fieldSelector: { requirements: fields } }),
    ...(labels.length > 0 && { labelSelector: { requirements: labels } }),
  };
}

const fieldRequirements = (text: string): FieldSelectorRequirement[] =>
  parseFieldSelector(text).requirements.map(({ field, operator, value }) => ({
    key: field,
    operator: operator === '!=' ? 'NotIn' : 'In',
    values: [value],
  }));

function labelRequirements(text: string): LabelSelectorRequirement[] {
  return parseLabelSelector(text).requirements.flatMap(({ key, operator, values }) => {
    const known = OPERATORS[operator];
    return known ? [{ key, operator: known, ...(values.length > 0 && { values: [...values] }) }] : [];
  });
}

function attempt<T>(parse: () => T[]): T[] {
  try {
    return parse();
  } catch {
    return [];
  }
}
