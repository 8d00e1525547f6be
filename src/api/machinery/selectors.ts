/** Label selectors: the LabelSelector object, their text form, and matching. Field selectors as well. */
import type { LabelSelector } from '#types';
import { type LabelOperator, type LabelRequirement, parseRequirements, requirement } from './label-parser.js';
import { badRequest } from './status.js';

export {
  type FieldSelector,
  type FieldTerm,
  fieldSelectorText,
  parseFieldSelector,
} from './field-selector.js';
export type { LabelOperator, LabelRequirement };

type Labels = Readonly<Record<string, string>> | undefined;

export interface Selector {
  /** Sorted by key; all must hold. */
  readonly requirements: readonly LabelRequirement[];
  /** Whether it selects everything. */
  readonly empty: boolean;
  matches(labels: Labels): boolean;
  /** The text form, such as `app=web,tier in (a,b)`. */
  toString(): string;
}

function holds({ key, operator, values }: LabelRequirement, labels: Labels): boolean {
  const value = labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case '=':
    case '==':
    case 'in':
      return value !== undefined && values.includes(value);
    case '!=':
    case 'notin':
      return value === undefined || !values.includes(value);
    case 'exists':
      return value !== undefined;
    case '!':
      return value === undefined;
    case 'gt':
    case 'lt':
      return value !== undefined && /^[-+]?\d+$/.test(value) && compare(operator, value, values[0] as string);
  }
}

function compare(operator: 'gt' | 'lt', value: string, limit: string): boolean {
  const [a, b] = [BigInt(value.replace('+', '')), BigInt(limit.replace('+', ''))];
  return operator === 'gt' ? a > b : a < b;
}

const SIGN: Partial<Record<LabelOperator, string>> = { gt: '>', lt: '<', in: ' in ', notin: ' notin ' };

function requirementText({ key, operator, values }: LabelRequirement): string {
  if (operator === 'exists') return key;
  if (operator === '!') return `!${key}`;
  const list = values.join(',');
  return `${key}${SIGN[operator] ?? operator}${operator === 'in' || operator === 'notin' ? `(${list})` : list}`;
}

class Requirements implements Selector {
  readonly requirements: readonly LabelRequirement[];

  constructor(requirements: LabelRequirement[]) {
    this.requirements = requirements.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  }

  get empty(): boolean {
    return this.requirements.length === 0;
  }

  matches(labels: Labels): boolean {
    for (const one of this.requirements) if (!holds(one, labels)) return false;
    return true;
  }

  toString(): string {
    return this.requirements.map(requirementText).join(',');
  }
}

/** Selects everything. */
export const everything: Selector = new Requirements([]);

/** Selects nothing: what an absent LabelSelector means. */
export const nothing: Selector = { requirements: [], empty: false, matches: () => false, toString: () => '' };

/** The selector of a text such as `app=web,tier!=db,env in (a,b),!old`. Throws StatusError 400. */
export function parseLabelSelector(text: string): Selector {
  return text === '' ? everything : new Requirements(parseRequirements(text));
}

/** The selector of equal labels, as Services and ReplicationControllers have it; empty selects everything. */
export function labelSet(labels: Labels): Selector {
  return new Requirements(
    Object.entries(labels ?? {}).map(([key, value]) => ({ key, operator: '=', values: [value] })),
  );
}

const OPERATORS: ReadonlyMap<string, LabelOperator> = new Map([
  ['In', 'in'],
  ['NotIn', 'notin'],
  ['Exists', 'exists'],
  ['DoesNotExist', '!'],
]);

/**
 * The selector of a LabelSelector object: absent selects nothing, empty selects everything
 * (`metav1.LabelSelectorAsSelector`). Throws StatusError 400 when it is malformed.
 */
export function labelSelector(selector: LabelSelector | undefined): Selector {
  if (!selector) return nothing;
  const requirements = Object.entries(selector.matchLabels ?? {}).map(([key, value]) =>
    requirement(key, '=', [value]),
  );
  for (const { key, operator, values } of selector.matchExpressions ?? []) {
    const op = OPERATORS.get(operator);
    if (!op) throw badRequest(`"${operator}" is not a valid label selector operator`);
    requirements.push(requirement(key, op, values ?? []));
  }
  return new Requirements(requirements);
}

/** As upstream's type of selectors prints itself. */
export function goSelectorText({ matchLabels = {}, matchExpressions = [] }: LabelSelector): string {
  const labels = Object.keys(matchLabels)
    .sort()
    .map((key) => `${key}: ${matchLabels[key]},`);
  const expressions = matchExpressions.map(
    ({ key, operator, values = [] }) =>
      `LabelSelectorRequirement{Key:${key},Operator:${operator},Values:[${values.join(' ')}],},`,
  );
  return `&LabelSelector{MatchLabels:map[string]string{${labels.join('')}},MatchExpressions:[]LabelSelectorRequirement{${expressions.join('')}},}`;
}
