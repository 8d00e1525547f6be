/** The table of facts about the API's types, read once as text and parsed type by type on first use. */
import { readFileSync } from 'node:fs';

/** One field as `src/api/schema/facts.json` has it. */
export interface FieldFact {
  /** `string`, `int32`, `list<core/v1.Container>`, `map<Quantity>`, … */
  type: string;
  required?: boolean;
  /** The protobuf field number; `wire` where the wire type is not the usual one. */
  pb?: number;
  wire?: string;
  patchStrategy?: string;
  patchMergeKey?: string;
  listType?: 'atomic' | 'set' | 'map';
  listMapKeys?: string[];
  mapType?: 'atomic' | 'granular';
  structType?: 'atomic' | 'granular';
  /** JSON text, or `ref(Constant)`. */
  default?: string;
  featureGate?: string;
  /** A Go pointer: its zero value is not the same as its absence. */
  pointer?: true;
  /** When Go leaves it out of JSON, unless that is when it is empty (`omitempty`). */
  omit?: 'zero' | 'never';
}

export interface TypeFact {
  fields?: Record<string, FieldFact>;
  /** Types whose fields stand in this one's JSON object. */
  inline?: { type: string; pb?: number }[];
  /** What a named scalar, list or map is made of. */
  alias?: string;
  enum?: string[];
  structType?: 'atomic';
}

let lines: Map<string, string> | undefined;
const parsed = new Map<string, TypeFact>();

function table(): Map<string, string> {
  if (lines) return lines;
  const text = readFileSync(new URL('../../../generated/schema.tsv', import.meta.url), 'utf8');
  lines = new Map();
  for (const line of text.split('\n')) {
    const tab = line.indexOf('\t');
    if (tab > 0) lines.set(line.slice(0, tab), line.slice(tab + 1));
  }
  return lines;
}

/** The facts of a type such as `apps/v1.Deployment`. */
export function typeFact(name: string): TypeFact | undefined {
  let fact = parsed.get(name);
  if (fact) return fact;
  const text = table().get(name);
  if (text === undefined) return undefined;
  fact = JSON.parse(text) as TypeFact;
  parsed.set(name, fact);
  return fact;
}

/** The names of all types. */
export function typeNames(): string[] {
  return [...table().keys()];
}

let prefixes: Set<string> | undefined;

/** Whether there are types whose names begin so: `apps/v1.`. */
export function hasTypes(prefix: string): boolean {
  prefixes ??= new Set(typeNames().map((name) => name.slice(0, name.indexOf('.') + 1)));
  return prefixes.has(prefix);
}
