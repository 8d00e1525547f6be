/** Reading YAML bodies, with duplicate keys told as Go's YAML decoder tells them. */
import type { Scalar, Tags, YAMLMap } from 'yaml';

export interface StrictYaml {
  value: unknown;
  /** Texts about keys that a mapping has twice: `yaml: unmarshal errors:\n  line 3: key "a" already set in map`. */
  errors: string[];
}

/** Aliases that a document may expand to: more is an attack. */
const MAX_ALIASES = 100;

/** Parses one YAML document as JSON would have it; the last of several equal keys stands. Throws SyntaxError. */
export async function parseYamlStrict(text: string): Promise<StrictYaml> {
  const { isScalar, LineCounter, parseDocument, visit } = await import('yaml');
  const lines = new LineCounter();
  const document = parseDocument(text, {
    uniqueKeys: false,
    lineCounter: lines,
    merge: true,
    version: '1.1',
    customTags: (tags) => tags.filter((tag) => typeof tag === 'string' || !isTime(tag)),
  });
  const problem = document.errors[0];
  if (problem) throw new SyntaxError(`yaml: ${problem.message.split('\n')[0]}`);
  const repeated: { line: number; key: unknown }[] = [];
  visit(document, {
    Map(_, map) {
      for (const key of repeatedKeys(map, isScalar)) {
        repeated.push({ line: lines.linePos(key.range?.[0] ?? 0).line, key: key.value });
      }
    },
  });
  const texts = repeated
    .sort((a, b) => a.line - b.line)
    .map(({ line, key }) => `  line ${line}: key ${JSON.stringify(key)} already set in map`);
  return {
    value: document.toJS({ maxAliasCount: MAX_ALIASES }),
    errors: texts.length > 0 ? [`yaml: unmarshal errors:\n${texts.join('\n')}`] : [],
  };
}

/** Go's decoder knows YAML 1.1, but leaves dates and `12:30` as strings. */
const isTime = (tag: Tags[number]): boolean =>
  typeof tag === 'object' &&
  (tag.tag === 'tag:yaml.org,2002:timestamp' || ('format' in tag && tag.format === 'TIME'));

function repeatedKeys(map: YAMLMap, isScalar: (node: unknown) => node is Scalar): Scalar[] {
  const seen = new Set<unknown>();
  const found: Scalar[] = [];
  for (const { key } of map.items) {
    if (!isScalar(key)) continue;
    if (seen.has(key.value)) found.push(key);
    seen.add(key.value);
  }
  return found;
}
