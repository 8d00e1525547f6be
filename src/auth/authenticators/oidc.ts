/**
 * OpenID Connect: tokens of an issuer that this cluster trusts, checked with the keys that the issuer publishes.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/#openid-connect-tokens
 */
import { createLocalJWKSet, decodeJwt, errors, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose';
import type { Clock } from '../../api/machinery/clock.js';
import { unauthorized } from '../../api/machinery/status.js';
import type { TokenAuthenticator } from '../authenticate.js';
import type { User } from '../user.js';
import { getJson } from './get-json.js';

/** What is made of a token's claims. Throws an Error for claims that name nobody. */
export type MapClaims = (claims: JWTPayload) => User;

export interface OidcIssuer {
  /** As tokens and the discovery document name it: `https://…`. */
  url: string;
  /** Where the discovery document is, if not at `<url>/.well-known/openid-configuration`. */
  discoveryUrl?: string;
  /** PEM; the system's authorities when absent. */
  ca?: string;
  /** One of them must be among a token's. */
  audiences: string[];
  algorithms: string[];
  mapClaims: MapClaims;
}

/** An unknown key makes the keys be read again, but not more often than this (ms): anybody can send tokens. */
const REFRESH_PAUSE_MS = 1000;

/** The issuer need not answer before a token of its comes. */
export function oidcAuthenticator(issuer: OidcIssuer, clock: Clock): TokenAuthenticator {
  const keys = new IssuerKeys(issuer, clock);
  return async (token) => {
    if (issuerOf(token) !== issuer.url) return undefined;
    try {
      const { payload } = await keys.verify(token);
      return issuer.mapClaims(payload);
    } catch {
      throw unauthorized();
    }
  };
}

function issuerOf(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}

/** The issuer's published keys, read when they are needed, and again when a token names one that is not among them. */
class IssuerKeys {
  #keys: ReturnType<typeof createLocalJWKSet> | undefined;
  #reading: Promise<void> | undefined;
  #readAt = Number.NEGATIVE_INFINITY;

  constructor(
    readonly issuer: OidcIssuer,
    readonly clock: Clock,
  ) {}

  async verify(token: string): ReturnType<typeof jwtVerify> {
    if (!this.#keys) await this.#read();
    try {
      return await this.#check(token);
    } catch (error) {
      const stale =
        error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWSSignatureVerificationFailed;
      if (!stale || this.clock.now() - this.#readAt < REFRESH_PAUSE_MS) throw error;
      await this.#read();
      return this.#check(token);
    }
  }

  #check(token: string): ReturnType<typeof jwtVerify> {
    const { url, audiences, algorithms } = this.issuer;
    return jwtVerify(token, this.#keys!, {
      issuer: url,
      audience: audiences,
      algorithms,
      requiredClaims: ['exp'],
      currentDate: new Date(this.clock.now()),
    });
  }

  #read(): Promise<void> {
    this.#reading ??= this.#fetch().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #fetch(): Promise<void> {
    const { url, discoveryUrl, ca } = this.issuer;
    const at = discoveryUrl ?? `${url.replace(/\/$/, '')}/.well-known/openid-configuration`;
    const discovery = (await getJson(at, ca)) as { issuer?: string; jwks_uri?: string };
    if (discovery.issuer !== url) throw new Error(`${at} is of the issuer ${discovery.issuer}, not ${url}`);
    if (typeof discovery.jwks_uri !== 'string') throw new Error(`${at} names no jwks_uri`);
    this.#keys = createLocalJWKSet((await getJson(discovery.jwks_uri, ca)) as JSONWebKeySet);
    this.#readAt = this.clock.now();
  }
}
