/** `Impersonate-*` headers: acting as another user, where the authorizer allows it. */
import { internalError } from '../../api/machinery/status.js';
import type { Authorizer, User } from '../../auth/user.js';
import type { Call } from '../context.js';
import { authorize } from './authorize.js';

const AUTHENTICATION = 'authentication.k8s.io';
const EXTRA = 'impersonate-extra-';
const ACCOUNT = /^system:serviceaccount:([^:]+):([^:]+)$/;

const values = (header: string | undefined): string[] =>
  (header ?? '')
    .split(',')
    .map((value) => value.trim())
    .filter(Boolean);

/** The user that the request counts as: its own, or the one it asks to be. Throws 403. */
export async function impersonated(authorizer: Authorizer, call: Call): Promise<User> {
  const name = call.header('impersonate-user') ?? '';
  const groups = values(call.header('impersonate-group'));
  const uid = call.header('impersonate-uid') ?? '';
  const extra = extraOf(call);
  if (name === '') {
    const asked = groups.length > 0 || uid !== '' || Object.keys(extra).length > 0;
    if (asked) throw internalError('requested groups, uid or extra without impersonating a user');
    return call.user;
  }
  const ask = (resource: string, target: string, group = '', namespace = '', subresource = '') =>
    authorize(authorizer, {
      user: call.user,
      verb: 'impersonate',
      isResource: true,
      group,
      version: 'v1',
      resource,
      subresource,
      namespace,
      name: target,
      path: '',
    });
  const account = ACCOUNT.exec(name);
  if (account) await ask('serviceaccounts', account[2]!, '', account[1]!);
  else await ask('users', name);
  for (const group of groups) await ask('groups', group);
  for (const [key, list] of Object.entries(extra))
    for (const value of list) await ask('userextras', value, AUTHENTICATION, '', key);
  if (uid !== '') await ask('uids', uid, AUTHENTICATION);
  return {
    name,
    ...(uid === '' ? {} : { uid }),
    groups: allGroups(name, groups, account?.[1]),
    ...(Object.keys(extra).length > 0 ? { extra } : {}),
  };
}

/** Keys are percent-encoded in header names, which are of lower case. */
function extraOf(call: Call): Record<string, string[]> {
  const extra: Record<string, string[]> = {};
  for (const header of call.headerNames?.() ?? []) {
    if (!header.startsWith(EXTRA)) continue;
    const key = header.slice(EXTRA.length);
    let name = key;
    try {
      name = decodeURIComponent(key);
    } catch {
      // Taken as it is.
    }
    extra[name] = values(call.header(header));
  }
  return extra;
}

/** Whoever is impersonated counts as authenticated, or else as anonymous. */
function allGroups(name: string, asked: string[], accountNamespace: string | undefined): string[] {
  const groups =
    accountNamespace !== undefined && asked.length === 0
      ? ['system:serviceaccounts', `system:serviceaccounts:${accountNamespace}`]
      : asked;
  const state = name === 'system:anonymous' ? 'system:unauthenticated' : 'system:authenticated';
  return groups.includes('system:authenticated') || groups.includes(state) ? groups : [...groups, state];
}
