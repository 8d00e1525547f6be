/** The JSONPath of printer columns, scale and selectable fields: names, indexes, wildcards and simple filters. */
import { isMap } from './schema.js';

type Step = (values: unknown[]) => unknown[];

/** Reads all values that a path leads to. */
export type JsonPath = (object: unknown) => unknown[];

const TOKEN =
  /\.\.(?<deep>[\w-]+|\*)|\.(?<name>(?:[^.[\]\\]|\\.)+)|\[(?:'(?<quoted>[^']*)'|"(?<double>[^"]*)"|(?<all>\*)|(?<index>-?\d+)|(?<slice>-?\d*:-?\d*)|\?\((?<filter>(?:[^)"']|"[^"]*"|'[^']*')*)\))\]/y;

/** Compiles a path such as `.spec.conditions[?(@.type=="Ready")].status`. Throws Error where it can't. */
export function compileJsonPath(text: string): JsonPath {
  const path = text.replace(/^\{(.*)\}$/, '$1').replace(/^\$/, '');
  if (path === '' || path === '.') return (object) => [object];
  const source = path.startsWith('.') || path.startsWith('[') ? path : `.${path}`;
  const steps: Step[] = [];
  for (let at = 0; at < source.length; ) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(source);
    if (match === null) throw new Error(`unrecognized JSON path ${JSON.stringify(text)}`);
    at += match[0].length;
    steps.push(stepOf(match.groups as Record<string, string | undefined>));
  }
  return (object) => steps.reduce((values, step) => step(values), [object]);
}

function stepOf(groups: Record<string, string | undefined>): Step {
  const { deep, name, quoted, double, all, index, slice, filter } = groups;
  if (deep !== undefined) return (values) => values.flatMap((value) => below(value, deep));
  if (all !== undefined || name === '*') return (values) => values.flatMap(membersOf);
  if (index !== undefined) return (values) => values.flatMap((value) => at(value, Number(index)));
  if (slice !== undefined) {
    const [from, to] = slice.split(':').map((part) => (part === '' ? undefined : Number(part)));
    return (values) => values.flatMap((value) => (Array.isArray(value) ? value.slice(from, to) : []));
  }
  if (filter !== undefined) return filterOf(filter);
  const key = (quoted ?? double ?? name ?? '').replace(/\\(.)/g, '$1');
  return (values) =>
    values.flatMap((value) => (isMap(value) && Object.hasOwn(value, key) ? [value[key]] : []));
}

const membersOf = (value: unknown): unknown[] =>
  Array.isArray(value) ? value : isMap(value) ? Object.values(value) : [];

function at(value: unknown, index: number): unknown[] {
  const item = Array.isArray(value) ? value.at(index) : undefined;
  return item === undefined ? [] : [item];
}

function below(value: unknown, name: string): unknown[] {
  const own = isMap(value) && Object.hasOwn(value, name) ? [value[name]] : [];
  return [...own, ...membersOf(value).flatMap((member) => below(member, name))];
}

const FILTER = /^\s*@(?<left>[^=!<>\s]*)\s*(?:(?<operator>==|!=|<=|>=|<|>)\s*(?<right>.+?))?\s*$/;

function filterOf(text: string): Step {
  const { left = '', operator, right = '' } = FILTER.exec(text)?.groups ?? {};
  const get = compileJsonPath(left);
  const wanted = literal(right);
  const passes = (item: unknown): boolean => {
    const [value] = get(item);
    if (operator === undefined) return value !== undefined;
    return value !== undefined && compare(value, operator, wanted);
  };
  return (values) => values.flatMap((value) => (Array.isArray(value) ? value.filter(passes) : []));
}

function literal(text: string): unknown {
  if (/^(['"]).*\1$/.test(text)) return text.slice(1, -1);
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function compare(value: any, operator: string, wanted: any): boolean {
  switch (operator) {
    case '==':
      return value === wanted;
    case '!=':
      return value !== wanted;
    case '<':
      return value < wanted;
    case '>':
      return value > wanted;
    case '<=':
      return value <= wanted;
    default:
      return value >= wanted;
  }
}

/** `.spec.replicas` as names; for the paths that have no other steps. */
export function simplePath(text: string): string[] {
  return text
    .split(/(?<!\\)\./)
    .filter((part) => part !== '')
    .map((part) => part.replace(/\\(.)/g, '$1'));
}
