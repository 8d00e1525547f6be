/** Random suffixes of names, in upstream's alphabet (apimachinery `util/rand`, apiserver `names.SimpleNameGenerator`). */

/** No vowels and no look-alikes, so that no words come about. */
const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';
const MAX_NAME = 63;
const SUFFIX = 5;

/** `length` random characters that may stand in a DNS label. */
export function randomSuffix(length = SUFFIX, random: () => number = Math.random): string {
  let text = '';
  for (let i = 0; i < length; i++) text += ALPHABET[Math.floor(random() * ALPHABET.length)];
  return text;
}

/** The name that a `generateName` stands for: cut so that the whole has at most 63 characters. */
export function generateName(base: string, random: () => number = Math.random): string {
  return base.slice(0, MAX_NAME - SUFFIX) + randomSuffix(SUFFIX, random);
}

/** A number in upstream's alphabet (`rand.SafeEncodeString`), as in the hash that ends a ReplicaSet's name. */
export function safeEncode(text: string): string {
  let result = '';
  for (let i = 0; i < text.length; i++) result += ALPHABET[text.charCodeAt(i) % ALPHABET.length];
  return result;
}
