/** Registry credentials: https://distribution.github.io/distribution/spec/auth/token/ */
import { text } from 'node:stream/consumers';
import { ImageError } from '../../types.js';
import type { Endpoint } from './config.js';
import { discard, type HttpClient } from './http.js';

export interface Credentials {
  username: string;
  password: string;
}

export interface Challenge {
  scheme: string;
  parameters: Record<string, string>;
}

/** The first challenge of a WWW-Authenticate header. */
export function parseChallenge(header: string): Challenge {
  const space = header.indexOf(' ');
  const scheme = (space < 0 ? header : header.slice(0, space)).toLowerCase();
  const parameters: Record<string, string> = {};
  for (const [, key, quoted, plain] of header
    .slice(scheme.length)
    .matchAll(/([\w-]+)=(?:"([^"]*)"|([^\s,]+))/g))
    parameters[key!.toLowerCase()] = quoted ?? plain ?? '';
  return { scheme, parameters };
}

const basic = ({ username, password }: Credentials) =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;

/** The Authorization header that answers a challenge; undefined when there is nothing to answer with. */
export async function answerChallenge(
  http: HttpClient,
  endpoint: Endpoint,
  challenge: Challenge,
  repository: string,
  credentials: Credentials | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (challenge.scheme === 'basic') return credentials && basic(credentials);
  const { realm, service, scope } = challenge.parameters;
  if (challenge.scheme !== 'bearer' || !realm) return undefined;
  const url = new URL(realm);
  if (service) url.searchParams.set('service', service);
  url.searchParams.set('scope', scope ?? `repository:${repository}:pull`);
  const headers: Record<string, string> = credentials ? { authorization: basic(credentials) } : {};
  const answer = await http.getPatiently(endpoint, url.href, { headers, signal });
  if (answer.status !== 200) {
    discard(answer);
    const kind = credentials ? 'oauth' : 'anonymous';
    throw new ImageError(
      answer.status === 401 || answer.status === 403 ? 'Unauthorized' : 'Internal',
      `failed to authorize: failed to fetch ${kind} token: unexpected status from GET request to ${url.href}: ${answer.status}`,
    );
  }
  const { token, access_token } = JSON.parse(await text(answer.body)) as Record<string, string>;
  return `Bearer ${token ?? access_token}`;
}
