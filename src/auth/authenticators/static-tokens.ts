/**
 * Tokens of a CSV file: `token,user,uid,"group1,group2"`.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/#static-token-file
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { TokenAuthenticator } from '../authenticate.js';
import { ConfigurationError } from '../configuration-error.js';
import type { User } from '../user.js';

/** Throws ConfigurationError, which names `file` and the line. */
export function staticTokens(text: string, file: string): TokenAuthenticator {
  const users = new Map<string, { digest: Buffer; user: User }>();
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [token = '', name = '', uid = '', groups = ''] = fields(line);
    if (token === '' || name === '')
      throw new ConfigurationError(
        `The token file ${file}, line ${i + 1}: needs a token, a user name and a user uid.`,
      );
    const user = {
      name,
      ...(uid === '' ? {} : { uid }),
      groups: groups
        .split(',')
        .map((g) => g.trim())
        .filter(Boolean),
    };
    users.set(digestOf(token).toString('hex'), { digest: digestOf(token), user });
  }
  // Looked up by digest: the time that it takes tells nothing of a token.
  return async (token) => {
    const digest = digestOf(token);
    const found = users.get(digest.toString('hex'));
    return found && timingSafeEqual(found.digest, digest) ? found.user : undefined;
  };
}

const digestOf = (token: string): Buffer => createHash('sha256').update(token).digest();

/** Fields of a line of CSV; quotes may enclose commas. */
function fields(line: string): string[] {
  const found = [...line.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^,]*))\s*(?:,|$)/g)];
  return found.map(([, quoted, plain]) => (quoted?.replaceAll('""', '"') ?? plain ?? '').trim());
}
