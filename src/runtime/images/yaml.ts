/** YAML for files that users change; the parser is loaded only when there is such a file. */
import { createRequire } from 'node:module';

export function parseYaml(text: string): unknown {
  const { parse } = createRequire(import.meta.url)('yaml') as typeof import('yaml');
  return parse(text);
}
