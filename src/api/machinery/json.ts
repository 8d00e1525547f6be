/** JSON as Go writes it: clients compare raw bytes (`kubectl rollout undo` does, with revisions' data). */

const ESCAPED = /[<>&\u2028\u2029]/g;
const unicodeEscape = (character: string): string =>
  `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** `JSON.stringify` with `<`, `>`, `&` and the line separators escaped. */
export function toJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(ESCAPED, unicodeEscape);
}
