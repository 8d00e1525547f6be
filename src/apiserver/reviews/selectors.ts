/** The selectors that an access review asks about, as the text that a request would have (KEP-4601). */
import type { FieldSelectorRequirement, LabelSelectorRequirement, ResourceAttributes } from '#types';
import {
  type FieldTerm,
  fieldSelectorText,
  labelSelector,
  parseFieldSelector,
  parseLabelSelector,
} from '../../api/machinery/selectors.js';
import type { Attributes } from '../../auth/user.js';

export interface AskedSelectors extends Pick<Attributes, 'fieldSelector' | 'labelSelector'> {
  /** What is not understood and left out: less narrows, so that more than was asked for must be allowed. */
  errors: string[];
}

interface Selector<R> {
  rawSelector?: string;
  requirements?: R[];
}

export function askedSelectors(attributes: ResourceAttributes | undefined): AskedSelectors {
  const errors: string[] = [];
  const fields = textOf(attributes?.fieldSelector, 'fieldSelector', rawFields, fieldText, errors);
  const labels = textOf(attributes?.labelSelector, 'labelSelector', rawLabels, labelText, errors);
  return {
    ...(fields && { fieldSelector: fields }),
    ...(labels && { labelSelector: labels }),
    errors,
  };
}

/** The texts throw where they are given what cannot be understood. */
function textOf<R>(
  selector: Selector<R> | undefined,
  name: string,
  raw: (text: string) => string,
  text: (requirement: R) => string,
  errors: string[],
): string {
  const { rawSelector = '', requirements = [] } = selector ?? {};
  const given =
    requirements.length > 0 ? requirements.map((one) => () => text(one)) : [() => raw(rawSelector)];
  const understood = given.flatMap((one) => {
    try {
      return one();
    } catch {
      return [];
    }
  });
  if (understood.length < given.length) {
    const ignored = understood.length > 0 ? 'partially ignored' : 'ignored';
    errors.push(`spec.resourceAttributes.${name} ${ignored} due to parse error`);
  }
  return understood.join(',');
}

const rawFields = (text: string) => parseFieldSelector(text).toString();
const rawLabels = (text: string) => parseLabelSelector(text).toString();

const FIELD_OPERATORS: Record<string, FieldTerm['operator']> = { In: '=', NotIn: '!=' };

function fieldText({ key, operator, values = [] }: FieldSelectorRequirement): string {
  const known = FIELD_OPERATORS[operator];
  if (known === undefined || values.length !== 1) throw new Error('field selectors compare with one value');
  return fieldSelectorText([{ field: key, operator: known, value: values[0]! }]);
}

const labelText = (requirement: LabelSelectorRequirement) =>
  labelSelector({ matchExpressions: [requirement] }).toString();
