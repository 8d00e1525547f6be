/**
 * Request headers: a proxy before this server, known by its certificate, says who sends a request.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/#authenticating-proxy
 */
import { X509Certificate } from 'node:crypto';
import type { User } from '../user.js';

export interface RequestHeaderOptions {
  /** PEM of the authorities of proxies' certificates. */
  ca: string;
  /** Common names of proxies; empty: any. */
  allowedNames: string[];
  usernameHeaders: string[];
  uidHeaders: string[];
  groupHeaders: string[];
  extraHeaderPrefixes: string[];
}

export interface ProxiedRequest {
  /** DER of the client's certificate. */
  raw: Buffer;
  commonName: string;
  /** A header's values, by its name in lower case. */
  header(name: string): string | undefined;
  headerNames(): string[];
}

/** Whom the proxy names; undefined: the certificate is not a proxy's, or it names nobody. */
export type AuthenticateProxied = (request: ProxiedRequest) => User | undefined;

export function requestHeader(options: RequestHeaderOptions): AuthenticateProxied {
  const authorities = options.ca
    .split(/(?<=-----END CERTIFICATE-----)/)
    .filter((pem) => pem.includes('BEGIN CERTIFICATE'))
    .map((pem) => new X509Certificate(pem));
  const vouched = (raw: Buffer): boolean => {
    const certificate = new X509Certificate(raw);
    return authorities.some((ca) => certificate.checkIssued(ca) && certificate.verify(ca.publicKey));
  };
  return (request) => {
    if (options.allowedNames.length > 0 && !options.allowedNames.includes(request.commonName))
      return undefined;
    const first = (names: string[]) =>
      names.map((name) => request.header(name.toLowerCase())?.trim()).find((value) => value);
    const name = first(options.usernameHeaders);
    if (!name || !vouched(request.raw)) return undefined;
    const uid = first(options.uidHeaders);
    const groups = options.groupHeaders.flatMap((header) => list(request.header(header.toLowerCase())));
    const extra = extraOf(request, options.extraHeaderPrefixes);
    return { name, ...(uid ? { uid } : {}), groups, ...(Object.keys(extra).length > 0 ? { extra } : {}) };
  };
}

const list = (value: string | undefined): string[] =>
  (value ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean);

function extraOf(request: ProxiedRequest, prefixes: string[]): Record<string, string[]> {
  const extra: Record<string, string[]> = {};
  for (const header of request.headerNames())
    for (const prefix of prefixes.map((text) => text.toLowerCase()))
      if (header.startsWith(prefix)) {
        const key = decoded(header.slice(prefix.length));
        extra[key] = [...(extra[key] ?? []), ...list(request.header(header))];
      }
  return extra;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
