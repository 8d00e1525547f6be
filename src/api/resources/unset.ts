/** Values that mean unset. */

/** In Go these fields are plain values: false, 0 and '' mean unset there, and are never sent back. */
export function dropUnset<T extends object>(object: T, fields: readonly (keyof T)[]): void {
  for (const field of fields) if (!object[field]) delete object[field];
}
