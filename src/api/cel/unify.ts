/** Which types fit where; type parameters take what they are given. */
import { DYN, type Type } from './types.js';

/** What each type parameter stands for so far. */
export type Substitution = Map<string, Type>;

const isOpen = ({ kind }: Type): boolean => kind === 'dyn' || kind === 'error';

/** Whether the types are the same, written out. */
export function sameType(a: Type, b: Type): boolean {
  if (a === b) return true;
  return (
    a.kind === b.kind &&
    a.name === b.name &&
    a.params.length === b.params.length &&
    a.params.every((param, i) => sameType(param, b.params[i]!))
  );
}

/** The substitution with which every type of `from` fits that of `to`; undefined if there is none. */
export function assignAll(
  subst: Substitution,
  from: readonly Type[],
  to: readonly Type[],
): Substitution | undefined {
  const trial = new Map(subst);
  return from.length === to.length && from.every((type, i) => fits(trial, type, to[i]!)) ? trial : undefined;
}

function fits(subst: Substitution, from: Type, to: Type): boolean {
  if (to.kind === 'param') {
    const [valid, known] = substitute(subst, from, to);
    if (valid || known) return valid;
  }
  if (from.kind === 'param') return substitute(subst, to, from)[0];
  if (isOpen(from) || isOpen(to)) return true;
  if (from.kind === 'null') return takesNull(to);
  if (to.kind === 'null') return takesNull(from);
  if (from.kind !== to.kind || from.name !== to.name) return false;
  if (from.kind === 'type') return true;
  return (
    from.params.length === to.params.length &&
    from.params.every((param, i) => fits(subst, param, to.params[i]!))
  );
}

const takesNull = ({ kind }: Type): boolean =>
  ['null', 'object', 'timestamp', 'duration', 'optional'].includes(kind);

/** Tries `type` for the parameter; tells too whether the parameter stood for something before. */
function substitute(subst: Substitution, type: Type, param: Type): [valid: boolean, known: boolean] {
  if (sameType(type, param)) return [true, true];
  const current = subst.get(param.name);
  if (current) {
    if (sameType(type, current)) return [true, true];
    if (!fits(subst, type, current)) return [false, true];
    const general = moreGeneral(type, current);
    if (!occursIn(subst, param, general)) subst.set(param.name, general);
    return [true, true];
  }
  if (occursIn(subst, param, type)) return [false, false];
  subst.set(param.name, type);
  return [true, false];
}

function occursIn(subst: Substitution, param: Type, type: Type): boolean {
  if (sameType(param, type)) return true;
  if (type.kind === 'param') {
    const next = subst.get(type.name);
    return next !== undefined && occursIn(subst, param, next);
  }
  return type.params.some((inner) => occursIn(subst, param, inner));
}

export const moreGeneral = (a: Type, b: Type): Type => (isAsGeneral(a, b) ? a : b);

function isAsGeneral(a: Type, b: Type): boolean {
  if (isOpen(a) || a.kind === 'param') return true;
  if (isOpen(b) || b.kind === 'param') return false;
  if (a.kind === 'null') return false;
  if (b.kind === 'null') return true;
  if (a.kind !== b.kind || a.name !== b.name) return false;
  return a.params.every((param, i) => b.params[i] !== undefined && isAsGeneral(param, b.params[i]!));
}

/** The type with its parameters replaced; `open` makes dyn of those that stand for nothing. */
export function resolve(subst: Substitution, type: Type, open = false): Type {
  if (type.kind === 'param') {
    const found = subst.get(type.name);
    if (found) return resolve(subst, found, open);
    return open ? DYN : type;
  }
  if (type.params.length === 0) return type;
  const params = type.params.map((param) => resolve(subst, param, open));
  return params.every((param, i) => param === type.params[i]) ? type : { ...type, params };
}
