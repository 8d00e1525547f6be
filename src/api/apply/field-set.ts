/**
 * Sets of fields, as managedFields carries them (FieldsV1): a tree whose members are its empty nodes, and the
 * nodes that hold `.`. They are plain JSON values, never changed; what is the same is shared.
 */
import { compareElements } from './path-element.js';

export interface FieldSet {
  readonly [element: string]: FieldSet;
}
/** One that is being built. */
export type Draft = Record<string, FieldSet>;

/** A node that is a member and has no children; as a set, the empty one. */
export const LEAF: FieldSet = Object.freeze({});
/** The element that makes a node with children a member. */
export const SELF = '.';

export function isEmptySet(set: FieldSet): boolean {
  for (const _ in set) return false;
  return true;
}

const isMember = (node: FieldSet): boolean => SELF in node || isEmptySet(node);

/** A node from its parts; undefined for one that is nothing. */
function node(member: boolean, children: Draft | undefined): FieldSet | undefined {
  if (children === undefined) return member ? LEAF : undefined;
  return member ? { [SELF]: LEAF, ...children } : children;
}

/** Makes the children of a node a member as well. */
export const withSelf = (children: FieldSet): FieldSet => ({ [SELF]: LEAF, ...children });

/** A set of the given paths, each a list of path elements. */
export function setOf(...paths: (readonly string[])[]): FieldSet {
  return paths.reduce((set, path) => union(set, pathSet(path)), LEAF);
}

function pathSet(path: readonly string[]): FieldSet {
  let set = LEAF;
  for (const element of path.toReversed()) set = { [element]: set };
  return set;
}

export function has(set: FieldSet, path: readonly string[]): boolean {
  let at: FieldSet | undefined = set;
  for (const element of path) {
    at = Object.hasOwn(at, element) ? at[element] : undefined;
    if (at === undefined) return false;
  }
  return path.length > 0 && isMember(at);
}

/** The node of a child; undefined where there is none. */
export const child = (set: FieldSet, element: string): FieldSet | undefined =>
  Object.hasOwn(set, element) ? set[element] : undefined;

/** Whether a child is a member itself, whatever it contains. */
export function hasElement(set: FieldSet, element: string): boolean {
  const found = child(set, element);
  return found !== undefined && isMember(found);
}

/** Whether a child contains members. */
export function hasWithin(set: FieldSet, element: string): boolean {
  const found = child(set, element);
  if (found === undefined) return false;
  for (const key in found) if (key !== SELF) return true;
  return false;
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (a === b || isEmptySet(b)) return a;
  if (isEmptySet(a)) return b;
  return unionOf(a, b);
}

/** Of sets that are not empty, or of nodes without their own membership. */
function unionOf(a: FieldSet, b: FieldSet): FieldSet {
  let out: Draft | undefined;
  for (const element in b) {
    if (element === SELF) continue;
    const [left, right] = [child(a, element), b[element] as FieldSet];
    const both = left === undefined ? right : unionNodes(left, right);
    if (both === left) continue;
    out ??= { ...a };
    out[element] = both;
  }
  return out ?? a;
}

function unionNodes(a: FieldSet, b: FieldSet): FieldSet {
  if (a === b) return a;
  const member = isMember(a) || isMember(b);
  if (isEmptySet(a)) return member && !isMember(b) ? withSelf(b) : b;
  const children = unionOf(a, b);
  return member && !(SELF in children) ? withSelf(children) : children;
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  return intersectionOf(a, b) ?? LEAF;
}

function intersectionOf(a: FieldSet, b: FieldSet): Draft | undefined {
  let out: Draft | undefined;
  for (const element in a) {
    if (element === SELF) continue;
    const [left, right] = [a[element] as FieldSet, child(b, element)];
    if (right === undefined) continue;
    const both = node(isMember(left) && isMember(right), intersectionOf(left, right));
    if (both === undefined) continue;
    out ??= {};
    out[element] = both;
  }
  return out;
}

/** What is in `a` and not in `b`. Members go one by one: a field of `b` does not take the fields within it along. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  return differenceOf(a, b, false) ?? LEAF;
}

/** What is in `a` and neither in `b` nor within a field of it. */
export function recursiveDifference(a: FieldSet, b: FieldSet): FieldSet {
  return differenceOf(a, b, true) ?? LEAF;
}

/** `a` itself where nothing is taken out of its children; else the children that are left. */
function differenceOf(a: FieldSet, b: FieldSet, recursive: boolean): FieldSet | undefined {
  let same = true;
  let out: Draft | undefined;
  for (const element in a) {
    if (element === SELF) continue;
    const [left, right] = [a[element] as FieldSet, child(b, element)];
    const rest = right === undefined ? left : differenceOfNodes(left, right, recursive);
    same &&= rest === left;
    if (rest === undefined) continue;
    out ??= {};
    out[element] = rest;
  }
  return same ? a : out;
}

function differenceOfNodes(a: FieldSet, b: FieldSet, recursive: boolean): FieldSet | undefined {
  if (recursive && isMember(b)) return undefined;
  const stays = isMember(a) && !isMember(b);
  const children = differenceOf(a, b, recursive);
  if (children === undefined) return stays ? LEAF : undefined;
  if (children !== a) return stays ? withSelf(children) : children;
  if (stays || !isMember(a)) return a;
  const { [SELF]: _, ...rest } = a;
  return isEmptySet(rest) ? undefined : rest;
}

/** The members that have no members within them. */
export function leaves(set: FieldSet): FieldSet {
  const out: Draft = {};
  for (const element in set) {
    if (element === SELF) continue;
    const inner = set[element] as FieldSet;
    out[element] = hasWithin(set, element) ? leaves(inner) : LEAF;
  }
  return out;
}

/** All members: first those of a level, in order, then those within them. */
export function paths(set: FieldSet, prefix: readonly string[] = []): string[][] {
  const elements = elementsOf(set);
  return [
    ...elements.filter((e) => isMember(set[e] as FieldSet)).map((e) => [...prefix, e]),
    ...elements.flatMap((e) => paths(set[e] as FieldSet, [...prefix, e])),
  ];
}

const elementsOf = (set: FieldSet): string[] =>
  Object.keys(set)
    .filter((element) => element !== SELF)
    .sort(compareElements);

export function equalSets(a: FieldSet, b: FieldSet): boolean {
  if (a === b) return true;
  let count = 0;
  for (const element in a) {
    const other = child(b, element);
    if (other === undefined || !equalSets(a[element] as FieldSet, other)) return false;
    count++;
  }
  for (const _ in b) count--;
  return count === 0;
}
