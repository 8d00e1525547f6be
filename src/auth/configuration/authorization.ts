/**
 * AuthorizationConfiguration, and the option for one webhook.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/authorization/#using-configuration-file-for-authorization
 */
import type { Clock } from '../../api/machinery/clock.js';
import { selectorsOf } from '../authorizers/selectors.js';
import { webhookAuthorizer } from '../authorizers/webhook.js';
import { ConfigurationError } from '../configuration-error.js';
import type { Authorizer } from '../user.js';
import { expression } from './expressions.js';
import { readDocument, webhookTransport } from './read.js';
import type { AuthSettings } from './settings.js';

const GROUP = 'apiserver.config.k8s.io';
const WHAT = 'authorization configuration';

/** The built-in authorizers, by the types that the configuration calls them by. */
export type BuiltIn = Record<'Node' | 'RBAC', Authorizer>;

/** Puts the built-in authorizers in their places among the others, in the order in which they are asked. */
export type ChooseAuthorizers = (builtIn: BuiltIn) => Authorizer[];

type Entry = keyof BuiltIn | Authorizer;

/** Reads all files. Rejects with ConfigurationError. */
export async function loadAuthorization(settings: AuthSettings, clock: Clock): Promise<ChooseAuthorizers> {
  const entries = await entriesOf(settings, clock);
  return (builtIn) => entries.map((entry) => (typeof entry === 'string' ? builtIn[entry] : entry));
}

async function entriesOf(
  { authorizationConfig, authorizationWebhookConfigFile }: AuthSettings,
  clock: Clock,
): Promise<Entry[]> {
  if (authorizationConfig) return fromFile(authorizationConfig, clock);
  if (!authorizationWebhookConfigFile) return ['Node', 'RBAC'];
  const transport = await webhookTransport(authorizationWebhookConfigFile, 'authorization webhook');
  return ['Node', 'RBAC', webhookAuthorizer({ transport, clock, failure: 'no-opinion' })];
}

async function fromFile(path: string, clock: Clock): Promise<Entry[]> {
  const document = await readDocument(
    path,
    WHAT,
    'AuthorizationConfiguration',
    ['v1', 'v1beta1', 'v1alpha1'].map((version) => `${GROUP}/${version}`),
  );
  const entries: any[] = document['authorizers'] ?? [];
  const fail = (at: string, why: string): never => {
    throw new ConfigurationError(`The ${WHAT}, ${path}, can't be used: ${at}: ${why}.`);
  };
  if (entries.length === 0) fail('authorizers', 'at least one is needed');
  return Promise.all(
    entries.map((entry, i): Entry | Promise<Entry> => {
      const at = `authorizers[${i}]`;
      if (entry.type === 'Node' || entry.type === 'RBAC') return entry.type as keyof BuiltIn;
      if (entry.type !== 'Webhook') return fail(`${at}.type`, 'must be one of Node, RBAC, Webhook');
      return webhook(entry.webhook ?? {}, `${at}.webhook`, fail, clock);
    }),
  );
}

async function webhook(
  given: any,
  at: string,
  fail: (at: string, why: string) => never,
  clock: Clock,
): Promise<Authorizer> {
  const { connectionInfo = {}, failurePolicy, timeout = '10s' } = given;
  if (connectionInfo.type !== 'KubeConfigFile' || !connectionInfo.kubeConfigFile)
    fail(`${at}.connectionInfo`, 'must be of type KubeConfigFile with a kubeConfigFile');
  if (failurePolicy !== 'NoOpinion' && failurePolicy !== 'Deny')
    fail(`${at}.failurePolicy`, 'must be NoOpinion or Deny');
  const transport = await webhookTransport(
    connectionInfo.kubeConfigFile,
    WHAT,
    milliseconds(timeout) ?? 10_000,
  );
  const authorizer = webhookAuthorizer({
    transport,
    clock,
    allowedTtlMs: milliseconds(given.authorizedTTL),
    deniedTtlMs: milliseconds(given.unauthorizedTTL),
    failure: failurePolicy === 'Deny' ? 'deny' : 'no-opinion',
  });
  return conditional(authorizer, given.matchConditions ?? [], at, fail, failurePolicy === 'Deny');
}

/** Asks only if all conditions hold for the request. */
function conditional(
  authorizer: Authorizer,
  conditions: { expression?: string }[],
  at: string,
  fail: (at: string, why: string) => never,
  denies: boolean,
): Authorizer {
  if (conditions.length === 0) return authorizer;
  const checks = conditions.map(({ expression: source = '' }, i) => {
    try {
      return expression(source, 'request');
    } catch (error) {
      return fail(`${at}.matchConditions[${i}].expression`, (error as Error).message);
    }
  });
  return {
    ...authorizer,
    authorize(attributes) {
      const { user, isResource, path, verb, fieldSelector: _, labelSelector: __, ...resource } = attributes;
      const request = {
        user: user.name,
        groups: user.groups,
        uid: user.uid ?? '',
        extra: user.extra ?? {},
        ...(isResource
          ? { resourceAttributes: { verb, ...resource, ...selectorsOf(attributes) } }
          : { nonResourceAttributes: { path, verb } }),
      };
      try {
        if (!checks.every((check) => check(request) === true)) return { decision: 'no-opinion', reason: '' };
      } catch (error) {
        return { decision: denies ? 'deny' : 'no-opinion', reason: (error as Error).message };
      }
      return authorizer.authorize(attributes);
    },
  };
}

/** Of `1h`, `5m30s`, `250ms`. */
function milliseconds(duration: unknown): number | undefined {
  if (typeof duration !== 'string') return undefined;
  const units: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
  return [...duration.matchAll(/(\d+)(ms|h|m|s)/g)].reduce(
    (sum, [, n, unit]) => sum + Number(n) * units[unit!]!,
    0,
  );
}
