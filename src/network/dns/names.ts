/** Names as text: see message.ts for how they are written. */

/** Only ASCII has cases in DNS, and other bytes are escaped. */
export const inLowerCase = (name: string): string => name.toLowerCase();

/** Whether `name` is the zone's own or one below it; both in lower case. */
export function isBelow(name: string, zone: string): boolean {
  return name === zone || (name.endsWith(zone) && name[name.length - zone.length - 1] === '.');
}
