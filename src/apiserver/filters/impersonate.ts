/** `Impersonate-*` headers: acting as another user, where the authorizer allows it. */
import { badRequest, internalError } from '../../api/machinery/status.js';
import type { Authorizer, User } from '../../auth/user.js';
import type { Call } from '../context.js';
import { authorize } from './authorize.js';

/** The user that the request counts as: its own, or the one it asks to be. Throws 403. */
export async function impersonated(authorizer: Authorizer, call: Call): Promise<User> {
  const name = call.header('impersonate-user');
  const groups = (call.header('impersonate-group') ?? '')
    .split(',')
    .map((g) => g.trim())
    .filter(Boolean);
  if (name === undefined) {
    if (groups.length > 0) throw internalError('requested groups [] without impersonating a user');
    return call.user;
  }
  if (name === '') throw badRequest('Impersonate-User must not be empty');
  const ask = (resource: string, group: string, namespace: string, target: string) =>
    authorize(authorizer, {
      user: call.user,
      verb: 'impersonate',
      isResource: true,
      group,
      version: 'v1',
      resource,
      subresource: '',
      namespace,
      name: target,
      path: '',
    });
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(name);
  if (account) await ask('serviceaccounts', '', account[1]!, account[2]!);
  else await ask('users', '', '', name);
  for (const group of groups) await ask('groups', '', '', group);
  return {
    name,
    groups: [...new Set([...(account ? accountGroups(account[1]!) : []), ...groups, 'system:authenticated'])],
  };
}

const accountGroups = (namespace: string) => [
  'system:serviceaccounts',
  `system:serviceaccounts:${namespace}`,
];
