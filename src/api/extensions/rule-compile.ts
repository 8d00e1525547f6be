/** Compiles validation rules, and tells what is wrong with them when they are declared. */
import type { ValidationRule } from '#types';
import {
  adapt,
  BOOL,
  createEnvironment,
  DYN,
  optionalOf,
  type Program,
  returns,
  STRING,
  schemaType,
  type Type,
  type TypeSchema,
  type Value,
} from '../cel/index.js';
import { child, type FieldError, index, invalid, key, notSupported, required } from '../machinery/field.js';
import { countInside, RuleCosts } from './rule-cost.js';
import { EMBEDDED, itemsOf, LIST_TYPE, memberOf, type Schema, VALIDATIONS, valuesOf } from './schema.js';

export interface CompiledRule {
  rule: ValidationRule;
  /** Undefined where it could not be compiled, for the reason in `problem`. */
  program: Program | undefined;
  problem?: string;
  message?: Program;
  messageProblem?: string;
  /** Whether it speaks of what was there before. */
  transition: boolean;
  /** The value that was there before as CEL has it. */
  oldType(old: unknown): Value;
}

/** The rules of one schema, without those inside of it. */
export function compileNode(schema: Schema, resource: boolean): CompiledRule[] {
  const rules = (schema[VALIDATIONS] ?? []) as ValidationRule[];
  if (rules.length === 0) return [];
  const type = schemaType(schema as TypeSchema, 'self', resource) ?? DYN;
  return rules.map((rule) => compileRule(rule, type));
}

function compileRule(rule: ValidationRule, type: Type): CompiledRule {
  const transition = usesOldSelf(rule.rule) || usesOldSelf(rule.messageExpression);
  const oldSelf = rule.optionalOldSelf ? optionalOf(type) : type;
  const env = createEnvironment({ variables: { self: type, oldSelf } });
  const compiled: CompiledRule = { rule, program: undefined, transition, oldType: (old) => adapt(old, type) };
  const result = env.compile(rule.rule ?? '');
  if ('issues' in result) compiled.problem = `compilation failed: ${result.text}`;
  else if (!returns(result.program, [BOOL])) compiled.problem = 'cel expression must evaluate to a bool';
  else compiled.program = result.program;
  if (rule.messageExpression) {
    const message = env.compile(rule.messageExpression);
    if ('issues' in message)
      compiled.messageProblem = `messageExpression compilation failed: ${message.text}`;
    else if (!returns(message.program, [STRING]))
      compiled.messageProblem = 'messageExpression must evaluate to a string';
    else compiled.message = message.program;
  }
  return compiled;
}

const usesOldSelf = (source: string | undefined): boolean =>
  /(?<![\w.])oldSelf(?!\w)/.test((source ?? '').replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g, ''));

/** Everything that is wrong with the rules of a schema, and with what they may cost. */
export function ruleErrors(schema: Schema, path: string): FieldError[] {
  const costs = new RuleCosts();
  return [
    ...nodeErrors(schema, { path, root: true, count: 1, lost: undefined, costs }),
    ...costs.total(path),
  ];
}

interface Place {
  path: string;
  root: boolean;
  /** How many values there may be of it; undefined where nothing bounds that. */
  count: number | undefined;
  /** The path of the list within which nothing can be told to be what it was before. */
  lost: string | undefined;
  costs: RuleCosts;
}

function nodeErrors(schema: Schema, place: Place): FieldError[] {
  const { path, root, lost } = place;
  const errors: FieldError[] = [];
  compileNode(schema, root || Boolean(schema[EMBEDDED])).forEach((compiled, i) => {
    const at = index(child(path, VALIDATIONS), i);
    errors.push(...costErrors(compiled, schema, place, at), ...declaredErrors(compiled, schema, at, lost));
  });
  const inside = { ...place, root: false, count: countInside(schema, place.count) };
  for (const [name, property] of Object.entries(schema.properties ?? {}))
    errors.push(...nodeErrors(property, { ...inside, path: key(child(path, 'properties'), name) }));
  const values = valuesOf(schema);
  if (values) errors.push(...nodeErrors(values, { ...inside, path: child(path, 'additionalProperties') }));
  const items = itemsOf(schema);
  if (items)
    errors.push(
      ...nodeErrors(items, {
        ...inside,
        path: child(path, 'items'),
        lost: lost ?? (schema[LIST_TYPE] === 'map' ? undefined : path),
      }),
    );
  return errors;
}

function costErrors(
  { program, message }: CompiledRule,
  schema: Schema,
  { count, costs }: Place,
  path: string,
): FieldError[] {
  return [
    ...(program ? costs.rule(program, schema, count, child(path, 'rule')) : []),
    ...(message ? costs.message(message, child(path, 'messageExpression')) : []),
  ];
}

const REASONS = ['FieldValueDuplicate', 'FieldValueForbidden', 'FieldValueInvalid', 'FieldValueRequired'];

function declaredErrors(
  { rule, problem, messageProblem, transition }: CompiledRule,
  schema: Schema,
  path: string,
  lost: string | undefined,
): FieldError[] {
  const errors: FieldError[] = [];
  const at = (name: string) => child(path, name);
  const { message, reason, fieldPath } = rule;
  if (!rule.rule?.trim()) errors.push(required(at('rule'), 'rule is not specified'));
  else if (problem) errors.push(invalid(at('rule'), rule, problem));
  if (messageProblem) errors.push(invalid(at('messageExpression'), rule, messageProblem));
  if (message !== undefined && message !== '' && message.trim() === '')
    errors.push(invalid(at('message'), message, 'message must be non-empty if specified'));
  else if (message?.trim().includes('\n'))
    errors.push(invalid(at('message'), message, 'message must not contain line breaks'));
  else if (!message && rule.rule?.trim().includes('\n'))
    errors.push(required(at('message'), 'message must be specified if rule contains line breaks'));
  if (
    rule.messageExpression !== undefined &&
    rule.messageExpression !== '' &&
    rule.messageExpression.trim() === ''
  )
    errors.push(required(at('messageExpression'), 'messageExpression must be non-empty if specified'));
  if (reason && !REASONS.includes(reason)) errors.push(notSupported(at('reason'), reason, REASONS));
  if (fieldPath !== undefined && fieldPath !== '' && !leadsSomewhere(fieldPath, schema))
    errors.push(
      invalid(at('fieldPath'), fieldPath, 'fieldPath must be a valid path: does not refer to a valid field'),
    );
  if (transition && lost !== undefined)
    errors.push(
      invalid(
        at('rule'),
        rule.rule,
        `oldSelf cannot be used on the uncorrelatable portion of the schema within ${lost}`,
      ),
    );
  if (rule.optionalOldSelf !== undefined && !transition)
    errors.push(
      invalid(at('optionalOldSelf'), rule.optionalOldSelf, 'may not be set if oldSelf is not used in rule'),
    );
  return errors;
}

/** Whether a path such as `.spec.names['a']` leads to a declared field; never into lists. */
function leadsSomewhere(path: string, schema: Schema): boolean {
  const parts = path.match(/\.[^.[\]]+|\['[^']+'\]/g) ?? [];
  if (parts.join('') !== path || parts.length === 0) return false;
  let found: Schema | undefined = schema;
  for (const part of parts) {
    const name = part.startsWith('.') ? part.slice(1) : part.slice(2, -2);
    found = found && memberOf(found, name);
  }
  return found !== undefined;
}
