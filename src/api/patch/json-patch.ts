/** JSON Patch (RFC 6902), as the API server applies it. */
import { StatusError } from '../machinery/status.js';
import { deepCopy } from '../machinery/types.js';
import { malformed, unprocessable } from './errors.js';

export interface JsonPatchOperation {
  op: 'add' | 'remove' | 'replace' | 'move' | 'copy' | 'test';
  path: string;
  from?: string;
  value?: unknown;
}

/** Upstream's limit of operations in one patch. */
const MAX_OPERATIONS = 10_000;

/** The steps of a JSON pointer; `/a~1b/0` is `['a/b', '0']`. */
function steps(pointer: unknown, op: string): string[] {
  if (typeof pointer !== 'string') throw unprocessable(`${op} operation lacks a path`);
  if (pointer === '') return [];
  if (pointer[0] !== '/')
    throw unprocessable(`${op} operation does not apply: doc is missing path: "${pointer}"`);
  return pointer
    .slice(1)
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

type Container = Record<string, unknown> | unknown[];

const isContainer = (value: unknown): value is Container => typeof value === 'object' && value !== null;

/** The place that a step names in a list of `size` places; negative ones count from the end. */
function position(step: string, size: number): number | undefined {
  if (!/^(0|-?[1-9]\d*)$/.test(step)) return undefined;
  const at = Number(step) < 0 ? Number(step) + size : Number(step);
  return at >= 0 && at < size ? at : undefined;
}

/** The member that a step names, or undefined. */
function member(container: Container, step: string): string | number | undefined {
  if (Array.isArray(container)) return position(step, container.length);
  return Object.hasOwn(container, step) ? step : undefined;
}

const read = (container: Container, at: string | number): unknown =>
  (container as Record<string | number, unknown>)[at];

/** Sets a member; `__proto__` is a name like any other. */
function write(object: Container, name: string | number, value: unknown): void {
  Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
}

const pointer = (path: readonly string[]): string =>
  `/${path.map((step) => step.replaceAll('~', '~0').replaceAll('/', '~1')).join('/')}`;

/** Upstream's words (evanphx/json-patch) for a path whose container is not there. */
function missingPath(op: string, path: readonly string[]): string {
  const at = op === 'add' || op === 'remove' ? `"${pointer(path)}"` : pointer(path);
  const doc = op === 'test' ? '' : 'doc ';
  const from = op === 'move' || op === 'copy' ? 'from ' : '';
  return `${op} operation does not apply: ${doc}is missing ${from}path: ${at}: missing value`;
}

/** The same for a member that is not in its container. */
function missingMember(op: string, path: readonly string[], inList: boolean): string {
  const key = path.at(-1) as string;
  if (op === 'replace')
    return `replace operation does not apply: doc is missing key: ${pointer(path)}: missing value`;
  const why = inList
    ? `Unable to access invalid index: ${key}: invalid index referenced`
    : `Unable to remove nonexistent key: ${key}: missing value`;
  return `error in ${op} for path: '${pointer(path)}': ${why}`;
}

/** A document under change: its root can be replaced as a whole. */
class Document {
  root: unknown;

  constructor(root: unknown) {
    this.root = root;
  }

  /** The container of what a path names, and the path's last step. */
  #parent(path: string[], op: string): { parent: Container; step: string } {
    let parent = this.root;
    for (const step of path.slice(0, -1)) {
      const at = isContainer(parent) ? member(parent, step) : undefined;
      parent = at === undefined ? undefined : read(parent as Container, at);
    }
    if (!isContainer(parent)) throw unprocessable(missingPath(op, path));
    return { parent, step: path[path.length - 1] as string };
  }

  /** The container of a member that exists, and where the member is in it. */
  #existing(path: string[], op: string): { parent: Container; at: string | number } {
    const { parent, step } = this.#parent(path, op);
    const at = member(parent, step);
    if (at === undefined) throw unprocessable(missingMember(op, path, Array.isArray(parent)));
    return { parent, at };
  }

  get(path: string[], op: string): unknown {
    if (path.length === 0) return this.root;
    const { parent, at } = this.#existing(path, op);
    return read(parent, at);
  }

  /** Like `get`, with null for what its container lacks: a `test` against null holds for it. */
  find(path: string[]): unknown {
    if (path.length === 0) return this.root;
    const { parent, step } = this.#parent(path, 'test');
    const at = member(parent, step);
    return at === undefined ? null : read(parent, at);
  }

  add(path: string[], value: unknown): void {
    if (path.length === 0) {
      this.root = value;
      return;
    }
    const { parent, step } = this.#parent(path, 'add');
    if (!Array.isArray(parent)) {
      write(parent, step, value);
      return;
    }
    const at = step === '-' ? parent.length : position(step, parent.length + 1);
    if (at === undefined) throw unprocessable(missingMember('add', path, true));
    parent.splice(at, 0, value);
  }

  replace(path: string[], value: unknown): void {
    if (path.length === 0) {
      this.root = value;
      return;
    }
    const { parent, at } = this.#existing(path, 'replace');
    write(parent, at, value);
  }

  remove(path: string[], op = 'remove'): unknown {
    if (path.length === 0) throw unprocessable(`${op} operation does not apply to the whole document`);
    const { parent, at } = this.#existing(path, op);
    const value = read(parent, at);
    if (Array.isArray(parent)) parent.splice(at as number, 1);
    else delete parent[at];
    return value;
  }
}

/** Whether two JSON values are equal; the order of members does not matter. */
function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (!isContainer(a) || !isContainer(b) || Array.isArray(a) !== Array.isArray(b)) return false;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && equal(read(a, name), read(b, name)))
  );
}

function apply(document: Document, operation: JsonPatchOperation): void {
  const { op } = operation;
  const path = steps(operation.path, op);
  switch (op) {
    case 'add':
      document.add(path, deepCopy(operation.value ?? null));
      break;
    case 'remove':
      document.remove(path);
      break;
    case 'replace':
      document.replace(path, deepCopy(operation.value ?? null));
      break;
    case 'move':
      document.add(path, document.remove(steps(operation.from, op), op));
      break;
    case 'copy':
      document.add(path, deepCopy(document.get(steps(operation.from, op), op)));
      break;
    case 'test':
      if (!equal(document.find(path), operation.value ?? null))
        throw unprocessable(`testing value ${operation.path} failed: test failed`);
      break;
    default:
      throw unprocessable(`Unexpected kind: ${String(op)}`);
  }
}

/**
 * Applies the operations in order to a copy of `doc`. Throws StatusError: 400 for what is no patch, 413 for too
 * many operations, 422 where one does not apply.
 */
export function applyJsonPatch<T = any>(doc: unknown, operations: unknown): T {
  if (!Array.isArray(operations) || !operations.every((one) => isContainer(one) && !Array.isArray(one)))
    throw malformed(`json: cannot unmarshal ${typeName(operations)} into Go value of type jsonpatch.Patch`);
  if (operations.length > MAX_OPERATIONS)
    throw new StatusError(
      413,
      'RequestEntityTooLarge',
      `Request entity is too large: The allowed maximum operations in a JSON patch is ${MAX_OPERATIONS}, got ${operations.length}`,
    );
  const document = new Document(deepCopy(doc));
  for (const operation of operations) apply(document, operation as JsonPatchOperation);
  return document.root as T;
}

function typeName(value: unknown): string {
  if (Array.isArray(value)) return typeName(value.find((one) => !isContainer(one) || Array.isArray(one)));
  return typeof value === 'boolean' ? 'bool' : typeof value;
}
