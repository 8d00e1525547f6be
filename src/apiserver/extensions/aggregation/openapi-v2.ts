/** OpenAPI v2 documents of other servers as parts of the one document that this server gives. */
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';

type Definitions = Record<string, unknown>;

export interface PartV2 {
  /** Changes with the content. */
  id: string;
  paths: Record<string, unknown>;
  definitions: Definitions;
}

export const NO_PART: PartV2 = { id: '', paths: {}, definitions: {} };

const PREFIX = '#/definitions/';

/** What of a document is about one group version: its paths, and the definitions that they refer to. */
export function partOf(
  document: { paths?: Record<string, unknown>; definitions?: Definitions },
  group: string,
  version: string,
): PartV2 {
  const root = `/apis/${group}/${version}`;
  const paths = Object.fromEntries(
    Object.entries(document.paths ?? {}).filter(([path]) => path === root || path.startsWith(`${root}/`)),
  );
  const definitions: Definitions = {};
  const wanted = [...references(paths)];
  for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
    const definition = document.definitions?.[name];
    if (definition === undefined || Object.hasOwn(definitions, name)) continue;
    definitions[name] = definition;
    wanted.push(...references(definition));
  }
  const id = createHash('sha256')
    .update(JSON.stringify([paths, definitions]))
    .digest('hex');
  return { id, paths, definitions };
}

/**
 * All parts as additions to a document with the definitions `known`. A definition that is there under its name with
 * another content gets a name of its own, as upstream's aggregator has it: `<name>_v2` and so on.
 */
export function mergeParts(known: Definitions, parts: readonly PartV2[]): Omit<PartV2, 'id'> {
  const added: Omit<PartV2, 'id'> = { paths: {}, definitions: {} };
  const find = (name: string) => (Object.hasOwn(known, name) ? known[name] : added.definitions[name]);
  for (const part of parts) {
    const renames = namesFor(part.definitions, find);
    for (const [name, definition] of Object.entries(part.definitions)) {
      const own = renames.get(name) ?? name;
      if (find(own) === undefined) added.definitions[own] = renamed(definition, renames);
    }
    Object.assign(added.paths, renamed(part.paths, renames));
  }
  return added;
}

/** Names may depend on those of what is referred to, and these on others: a few rounds settle them. */
const ROUNDS = 10;

/** Under which other names definitions have to go. */
function namesFor(definitions: Definitions, find: (name: string) => unknown): Map<string, string> {
  let renames = new Map<string, string>();
  for (let round = 0; round < ROUNDS; round++) {
    const next = new Map<string, string>();
    for (const [name, definition] of Object.entries(definitions)) {
      const free = freeName(name, definition, renames, find);
      if (free !== name) next.set(name, free);
    }
    if (isDeepStrictEqual(next, renames)) break;
    renames = next;
  }
  return renames;
}

/** The first that is not taken, or by the same. */
function freeName(
  name: string,
  definition: unknown,
  renames: ReadonlyMap<string, string>,
  find: (name: string) => unknown,
): string {
  for (let n = 1; ; n++) {
    const free = n === 1 ? name : `${name}_v${n}`;
    const there = find(free);
    if (there === undefined || isDeepStrictEqual(there, renamed(definition, renames))) return free;
  }
}

const nameIn = (value: unknown): string | undefined =>
  typeof value === 'string' && value.startsWith(PREFIX) ? value.slice(PREFIX.length) : undefined;

function references(value: unknown, found = new Set<string>()): Set<string> {
  if (typeof value !== 'object' || value === null) return found;
  for (const [key, member] of Object.entries(value)) {
    const name = key === '$ref' ? nameIn(member) : undefined;
    if (name === undefined) references(member, found);
    else found.add(name);
  }
  return found;
}

function renamed<T>(value: T, renames: ReadonlyMap<string, string>): T {
  if (renames.size === 0 || typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((each) => renamed(each, renames)) as T;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => {
      const name = key === '$ref' ? renames.get(nameIn(member) ?? '') : undefined;
      return [key, name === undefined ? renamed(member, renames) : PREFIX + name];
    }),
  ) as T;
}
