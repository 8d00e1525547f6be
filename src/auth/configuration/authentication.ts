/**
 * AuthenticationConfiguration: issuers of tokens with claims mapped by name or by CEL, and who may stay anonymous.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/#using-authentication-configuration
 */
import type { JWTPayload } from 'jose';
import type { OidcIssuer } from '../authenticators/oidc.js';
import { ConfigurationError } from '../configuration-error.js';
import type { User } from '../user.js';
import { type Expression, expression } from './expressions.js';
import { ALGORITHMS, checkIssuerUrl } from './oidc-options.js';
import { readDocument } from './read.js';

export interface AuthenticationConfiguration {
  issuers: OidcIssuer[];
  /** Absent: the option decides. */
  anonymous?: (path: string) => boolean;
}

const GROUP = 'apiserver.config.k8s.io';
const WHAT = 'authentication configuration';

/** Rejects with ConfigurationError, which names the field. */
export async function readAuthentication(path: string): Promise<AuthenticationConfiguration> {
  const document = await readDocument(path, WHAT, 'AuthenticationConfiguration', [
    ...['v1', 'v1beta1', 'v1alpha1'].map((version) => `${GROUP}/${version}`),
  ]);
  const fail: Fail = (field, why) => {
    throw new ConfigurationError(`The ${WHAT}, ${path}, can't be used: ${field}: ${why}.`);
  };
  const jwt: any[] = document['jwt'] ?? [];
  const urls = jwt.map((entry) => entry?.issuer?.url);
  const twice = urls.findIndex((url, i) => urls.indexOf(url) < i);
  if (twice >= 0) fail(`jwt[${twice}].issuer.url`, 'another entry has it already');
  return {
    issuers: jwt.map((entry, i) => issuer(entry, `jwt[${i}]`, fail)),
    ...(document['anonymous'] ? { anonymous: anonymous(document['anonymous']) } : {}),
  };
}

type Fail = (field: string, why: string) => never;

function anonymous({ enabled, conditions }: { enabled?: boolean; conditions?: { path: string }[] }) {
  if (!enabled) return () => false;
  if (!conditions?.length) return () => true;
  const paths = new Set(conditions.map(({ path }) => path));
  return (path: string) => paths.has(path);
}

function issuer(entry: any, at: string, fail: Fail): OidcIssuer {
  const { url, discoveryURL, certificateAuthority, audiences, audienceMatchPolicy } = entry?.issuer ?? {};
  if (typeof url !== 'string') fail(`${at}.issuer.url`, 'is needed');
  checkIssuerUrl(url, `${at}.issuer.url`);
  if (!Array.isArray(audiences) || audiences.length === 0)
    fail(`${at}.issuer.audiences`, 'at least one is needed');
  if (audiences.length > 1 && audienceMatchPolicy !== 'MatchAny')
    fail(`${at}.issuer.audienceMatchPolicy`, 'must be MatchAny for multiple audiences');
  const map = claimMapper(entry.claimMappings ?? {}, `${at}.claimMappings`, fail);
  const claimRules = rules(entry.claimValidationRules, 'claims', `${at}.claimValidationRules`, fail);
  const userRules = rules(entry.userValidationRules, 'user', `${at}.userValidationRules`, fail);
  return {
    url,
    ...(discoveryURL ? { discoveryUrl: discoveryURL } : {}),
    ...(certificateAuthority ? { ca: certificateAuthority } : {}),
    audiences,
    algorithms: ALGORITHMS,
    mapClaims(claims) {
      for (const check of claimRules) check(claims);
      const user = map(claims);
      const { name, uid = '', groups, extra = {} } = user;
      for (const check of userRules) check({ username: name, uid, groups, extra });
      return user;
    },
  };
}

/** Checks that throw for what a rule does not allow. */
function rules(
  list: any[] | undefined,
  variable: 'claims' | 'user',
  at: string,
  fail: Fail,
): ((value: any) => void)[] {
  return (list ?? []).map((rule, i) => {
    if (rule.claim)
      return (claims: JWTPayload) => {
        if (claims[rule.claim] !== (rule.requiredValue ?? ''))
          throw new Error(`the claim ${rule.claim} is not as required`);
      };
    const evaluate = compiled(rule.expression, variable, `${at}[${i}].expression`, fail);
    return (value: unknown) => {
      if (evaluate(value) !== true)
        throw new Error(rule.message ?? `the rule ${rule.expression} does not hold`);
    };
  });
}

function compiled(source: unknown, variable: 'claims' | 'user', at: string, fail: Fail): Expression {
  if (typeof source !== 'string' || source === '') return fail(at, 'is needed');
  try {
    return expression(source, variable);
  } catch (error) {
    return fail(at, (error as Error).message);
  }
}

/** A claim with a prefix, or an expression. */
function mapping(given: any, at: string, fail: Fail, needsPrefix: boolean): Expression | undefined {
  if (given === undefined || given === null) return undefined;
  if (given.claim && given.expression) fail(at, 'has both a claim and an expression');
  if (given.expression) return compiled(given.expression, 'claims', `${at}.expression`, fail);
  if (!given.claim) return undefined;
  if (needsPrefix && typeof given.prefix !== 'string')
    fail(`${at}.prefix`, 'is needed with a claim; it may be empty');
  const prefix: string = given.prefix ?? '';
  return (claims: any) => {
    const value = claims[given.claim];
    if (given.claim === 'email' && claims.email_verified !== undefined && claims.email_verified !== true)
      throw new Error('email not verified');
    if (value === undefined || value === null) return undefined;
    return Array.isArray(value) ? value.map((item) => prefix + item) : prefix + value;
  };
}

function claimMapper(given: any, at: string, fail: Fail): (claims: JWTPayload) => User {
  const username =
    mapping(given.username, `${at}.username`, fail, true) ??
    fail(`${at}.username`, 'claim or expression is needed');
  const groups = mapping(given.groups, `${at}.groups`, fail, true);
  const uid = mapping(given.uid, `${at}.uid`, fail, false);
  const extra = (given.extra ?? []).map(({ key, valueExpression }: any, i: number) => {
    if (!/^[a-z0-9.-]+\/.+$/.test(key ?? '')) fail(`${at}.extra[${i}].key`, 'must be a domain-prefixed path');
    return [key, compiled(valueExpression, 'claims', `${at}.extra[${i}].valueExpression`, fail)] as const;
  });
  return (claims) => {
    const name = username(claims);
    if (typeof name !== 'string' || name === '') throw new Error('no user name');
    const id = uid?.(claims);
    const more = extra
      .map(([key, value]: [string, Expression]) => [key, texts(value(claims))])
      .filter(([, list]: [string, string[]]) => list.length > 0);
    return {
      name,
      ...(typeof id === 'string' && id !== '' ? { uid: id } : {}),
      groups: texts(groups?.(claims)),
      ...(more.length > 0 ? { extra: Object.fromEntries(more) } : {}),
    };
  };
}

/** A text, several, or none. */
function texts(value: unknown): string[] {
  if (value === undefined || value === null) return [];
  const list = [value].flat();
  if (list.some((item) => typeof item !== 'string')) throw new Error('a value is not a text');
  return (list as string[]).filter((item) => item !== '');
}
