/** Users from the claims of a token, by names of claims: the `--oidc-…` options and their structured form. */
import type { JWTPayload } from 'jose';
import type { User } from '../user.js';
import type { MapClaims } from './oidc.js';

export interface ClaimNames {
  username: { claim: string; prefix: string };
  groups?: { claim: string; prefix: string };
  uid?: { claim: string };
  /** Claims that must have exactly this text. */
  required?: Record<string, string>;
}

/** Throws an Error for a token that lacks what is asked for. */
export function mapByNames({ username, groups, uid, required = {} }: ClaimNames): MapClaims {
  return (claims) => {
    for (const [claim, value] of Object.entries(required))
      if (claims[claim] !== value) throw new Error(`required claim ${claim} is not ${value}`);
    const user: User = {
      name: username.prefix + text(claims, username.claim),
      groups: groups ? texts(claims[groups.claim]).map((group) => groups.prefix + group) : [],
    };
    // An address that nobody proved to own must not become somebody.
    if (username.claim === 'email' && (claims['email_verified'] ?? true) !== true)
      throw new Error('email not verified');
    return uid ? { ...user, uid: text(claims, uid.claim) } : user;
  };
}

function text(claims: JWTPayload, name: string): string {
  const value = claims[name];
  if (typeof value !== 'string' || value === '') throw new Error(`the claim ${name} is not a text`);
  return value;
}

/** One group or several. */
function texts(value: unknown): string[] {
  if (value === undefined || value === null) return [];
  const list = [value].flat();
  if (list.some((item) => typeof item !== 'string')) throw new Error('groups are not texts');
  return list as string[];
}
