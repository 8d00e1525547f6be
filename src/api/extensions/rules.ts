/**
 * Validation rules (`x-kubernetes-validations`): compiled with the schema, run on objects with what they cost counted.
 * @see https://kubernetes.io/docs/reference/using-api/cel/
 */
import { CostError, Optional, type Outcome, PER_CALL_LIMIT, type Program } from '../cel/index.js';
import { duplicate, type FieldError, forbidden, invalid, required } from '../machinery/field.js';
import type { KubeObject } from '../machinery/types.js';
import { type CompiledRule, compileNode } from './rule-compile.js';
import {
  childPath,
  EMBEDDED,
  equalJson,
  isMap,
  itemsOf,
  type Json,
  type Schema,
  VALIDATIONS,
  valuesOf,
} from './schema.js';
import { oldItems } from './validate-value.js';

/** What all rules of one object may cost: upstream's RuntimeCELCostBudget. */
const OBJECT_BUDGET = 10_000_000;

/** The rules of a schema and of all that is in it; what has none is left out. */
interface Node {
  schema: Schema;
  rules: CompiledRule[];
  properties: Map<string, Node>;
  values: Node | undefined;
  items: Node | undefined;
}

/** Checks objects by all rules of their schema; undefined where there are none. Compiled on first use. */
export function compileRules(
  schema: Schema,
): ((object: KubeObject, old?: KubeObject) => FieldError[]) | undefined {
  if (!hasRules(schema)) return undefined;
  let node: Node | undefined;
  return (object, old) => {
    node ??= nodeOf(schema, true);
    const run = new Run();
    if (node) run.check(node, object, old, '');
    return run.errors;
  };
}

const hasRules = (schema: Schema): boolean =>
  Boolean(schema[VALIDATIONS]) || insideOf(schema).some((inner) => hasRules(inner));

const insideOf = (schema: Schema): Schema[] =>
  [...Object.values(schema.properties ?? {}), valuesOf(schema), itemsOf(schema)].filter(
    (inner) => inner !== undefined,
  );

function nodeOf(schema: Schema, root = false): Node | undefined {
  if (!hasRules(schema)) return undefined;
  const properties = new Map<string, Node>();
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const node = nodeOf(property);
    if (node) properties.set(name, node);
  }
  const inner = (one: Schema | undefined) => one && nodeOf(one);
  return {
    schema,
    rules: compileNode(schema, root || Boolean(schema[EMBEDDED])),
    properties,
    values: inner(valuesOf(schema)),
    items: inner(itemsOf(schema)),
  };
}

/** One object's check, with what is left of its budget. */
class Run {
  readonly errors: FieldError[] = [];
  #budget = OBJECT_BUDGET;
  #over = false;

  check(node: Node, value: unknown, old: unknown, path: string): void {
    if (this.#over || value === null || value === undefined) return;
    this.#rules(node, value, old, path);
    if (Array.isArray(value)) this.#items(node, value, old, path);
    else if (isMap(value)) this.#members(node, value, old, path);
  }

  #items(node: Node, value: unknown[], old: unknown, path: string): void {
    const { items } = node;
    if (!items) return;
    const before = oldItems(node.schema, old);
    value.forEach((item, i) => {
      this.check(items, item, before(item), `${path}[${i}]`);
    });
  }

  #members({ properties, values }: Node, value: Json, old: unknown, path: string): void {
    const before: Json = isMap(old) ? old : {};
    const oldOf = (name: string) => (Object.hasOwn(before, name) ? before[name] : undefined);
    if (values) for (const name in value) this.check(values, value[name], oldOf(name), `${path}[${name}]`);
    for (const [name, node] of properties)
      if (Object.hasOwn(value, name)) this.check(node, value[name], oldOf(name), childPath(path, name));
  }

  #rules({ rules, schema }: Node, value: unknown, old: unknown, path: string): void {
    const unchanged = old !== undefined && rules.length > 0 && equalJson(value, old);
    for (const compiled of rules) {
      if (this.#over) return;
      const { rule, program, transition, problem } = compiled;
      if (transition && !rule.optionalOldSelf && (old === undefined || old === null)) continue;
      if (program === undefined) {
        this.#fail(path, schema, `rule compile error: ${problem}`);
        continue;
      }
      const inputs = inputsOf(compiled, value, old);
      const outcome = this.#run(program, inputs);
      if ('value' in outcome && outcome.value === true) continue;
      // What was wrong before, and is as it was, does not keep from other changes.
      if (unchanged && !transition) continue;
      if ('error' in outcome) this.#failed(outcome, compiled, path, schema);
      else this.#broken(compiled, inputs, path, schema);
    }
  }

  #run(program: Program, inputs: Record<string, unknown>): Outcome {
    const outcome = program.evaluate(inputs, Math.min(this.#budget, PER_CALL_LIMIT));
    this.#budget -= outcome.cost;
    return outcome;
  }

  #failed(outcome: Outcome & { error: Error }, { rule }: CompiledRule, path: string, schema: Schema): void {
    const { message } = outcome.error;
    const shown = rule.message?.trim() || (rule.rule ?? '').trim();
    if (outcome.error instanceof CostError) {
      this.#over = true;
      const spent = this.#budget <= 0;
      this.#fail(
        path,
        schema,
        spent
          ? 'validation failed due to running out of cost budget, no further validation rules will be run'
          : `'${message}': no further validation rules will be run due to call cost exceeds limit for rule: ${shown}`,
      );
    } else if (message.startsWith('no such overload'))
      this.#fail(
        path,
        schema,
        `'${message}': call arguments did not match a supported operator, function or macro signature for rule: ${shown}`,
      );
    else this.#fail(path, schema, `${message} evaluating rule: ${shown}`);
  }

  #broken(compiled: CompiledRule, inputs: Record<string, unknown>, path: string, schema: Schema): void {
    const { rule } = compiled;
    const at = `${path}${rule.fieldPath ?? ''}`.replace(/^\./, '');
    const text = this.#message(compiled, inputs);
    switch (rule.reason) {
      case 'FieldValueForbidden':
        this.errors.push(forbidden(at || '<nil>', text));
        break;
      case 'FieldValueRequired':
        this.errors.push(required(at || '<nil>', text));
        break;
      case 'FieldValueDuplicate':
        this.errors.push(duplicate(at || '<nil>', schema.type ?? ''));
        break;
      default:
        this.#fail(at, schema, text);
    }
  }

  /** What `messageExpression` makes of the object, or else what the rule says of itself. */
  #message({ rule, message }: CompiledRule, inputs: Record<string, unknown>): string {
    if (message) {
      const outcome = this.#run(message, inputs);
      const text = 'value' in outcome && typeof outcome.value === 'string' ? outcome.value.trim() : '';
      if (text !== '' && !text.includes('\n')) return text;
    }
    return rule.message?.trim() || `failed rule: ${(rule.rule ?? '').trim()}`;
  }

  #fail(path: string, schema: Schema, text: string): void {
    this.errors.push(invalid(path || '<nil>', schema.type ?? '', text));
  }
}

function inputsOf(
  { rule, transition, oldType }: CompiledRule,
  self: unknown,
  old: unknown,
): Record<string, unknown> {
  if (!transition) return { self };
  if (!rule.optionalOldSelf) return { self, oldSelf: old };
  return { self, oldSelf: old === undefined || old === null ? Optional.none : new Optional(oldType(old)) };
}
