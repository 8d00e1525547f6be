/** Property names that can't stand in an expression as they are (`__dash__`, `__namespace__`, …). */

const RESERVED = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
);
const PARTS: Record<string, string> = {
  __: '__underscores__',
  '.': '__dot__',
  '-': '__dash__',
  '/': '__slash__',
};

/** The name of a property in expressions; undefined where it can have none. */
export function escapeProperty(name: string): string | undefined {
  if (RESERVED.has(name)) return `__${name}__`;
  if (!/^[a-zA-Z_][a-zA-Z0-9_\-./]*$/.test(name)) return undefined;
  return name.replace(/__|[.\-/]/g, (part) => PARTS[part]!);
}
