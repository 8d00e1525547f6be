/** YAML as the server writes it, changed by lines: the page has no parser of its own. */

/** Without `metadata.managedFields`: the server keeps them where a client sends none. */
export function withoutManagedFields(text: string): string {
  const kept: string[] = [];
  let inMetadata = false;
  let skipping = false;
  for (const line of text.split('\n')) {
    if (/^\S/.test(line)) inMetadata = line.startsWith('metadata:');
    if (skipping && /^( {0,2}[^\s-]|\S)/.test(line)) skipping = false;
    if (inMetadata && /^ {2}managedFields:/.test(line)) skipping = true;
    if (!skipping) kept.push(line);
  }
  return kept.join('\n');
}

/** Without what every write changes, for comparing. */
export function comparable(text: string): string {
  return withoutManagedFields(text).replace(/^ {2}(resourceVersion|generation): .*\n/gm, '');
}
