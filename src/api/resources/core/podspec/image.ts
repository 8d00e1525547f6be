/** What the API says of an image from its name alone. */

const REPOSITORY = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/;

/**
 * The tag of an image reference: `latest` when it names neither tag nor digest, '' when it has a digest alone or
 * is no valid reference.
 */
export function imageTag(image: string): string {
  const [name = '', digest] = image.split('@', 2);
  const last = name.slice(name.lastIndexOf('/') + 1);
  const colon = last.indexOf(':');
  const parts = name.split('/');
  const path = parts.slice(parts.length > 1 && /[.:]|^localhost$/.test(parts[0]!) ? 1 : 0, -1);
  if (![...path, colon < 0 ? last : last.slice(0, colon)].every((part) => REPOSITORY.test(part))) return '';
  if (colon >= 0) return last.slice(colon + 1);
  return digest === undefined ? 'latest' : '';
}

/** Always for `latest`, else IfNotPresent. */
export const defaultPullPolicy = (image: string | undefined): 'Always' | 'IfNotPresent' =>
  imageTag(image ?? '') === 'latest' ? 'Always' : 'IfNotPresent';
