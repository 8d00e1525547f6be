/**
 * The ways in which somebody may be allowed to impersonate: constrained ones, each for a kind of user and only for the
 * requests that are allowed in it, and the one without constraints.
 * @see https://kep.k8s.io/5284 (constrained impersonation)
 */
import { dns1123Subdomain } from '../../api/machinery/names.js';
import { forbidden } from '../../api/machinery/status.js';
import type { Attributes, Authorizer, User } from '../../auth/user.js';
import { authorize } from './authorize.js';
import type { Identity } from './impersonate.js';

export interface ImpersonationMode {
  /** Whether it is for this pair of users at all. */
  applies(wanted: User, requestor: User): boolean;
  /** `attributes` are those of the request that is to be made. Throws 403. */
  check(authorizer: Authorizer, wanted: User, attributes: Attributes): Promise<Identity>;
}

const AUTHENTICATION = 'authentication.k8s.io';
const NODE_KEY = 'authentication.kubernetes.io/node-name';
const ASSOCIATED_KEYS = 'authentication.kubernetes.io/associated-node-keys';
/** From so many on, the right to all of them is asked for first. */
const MANY = 4;

const nodeOf = ({ name }: User): string | undefined => {
  const node = name.startsWith('system:node:') ? name.slice('system:node:'.length) : '';
  return node !== '' && dns1123Subdomain(node).length === 0 ? node : undefined;
};

function accountOf({ name: user }: User): { namespace: string; name: string } | undefined {
  const [, namespace, name] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(user) ?? [];
  return namespace !== undefined && name !== undefined ? { namespace, name } : undefined;
}

const onlyNamed = ({ uid = '', groups, extra = {} }: User): boolean =>
  uid === '' && groups.length === 0 && Object.keys(extra).length === 0;

/** A request to be allowed to be somebody, or something of somebody. */
type Ask = (target: {
  resource: string;
  name: string;
  group?: string;
  namespace?: string;
  subresource?: string;
}) => Promise<unknown>;

const asking =
  (authorizer: Authorizer, user: User, verb: string): Ask =>
  ({ group = AUTHENTICATION, namespace = '', subresource = '', ...target }) =>
    authorize(authorizer, {
      user,
      verb,
      isResource: true,
      group,
      version: 'v1',
      namespace,
      subresource,
      path: '',
      ...target,
    });

/** Whoever is impersonated counts as authenticated, or else as anonymous. */
function withState(user: User): User {
  const state = user.name === 'system:anonymous' ? 'system:unauthenticated' : 'system:authenticated';
  const { groups } = user;
  if (groups.includes(state) || groups.includes('system:unauthenticated')) return user;
  return { ...user, groups: [...groups, state] };
}

/** Accounts without groups have those of all accounts of their namespace. */
function withGroups(user: User): User {
  const account = accountOf(user);
  if (!account || user.groups.length > 0) return user;
  return {
    ...user,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${account.namespace}`],
  };
}

async function askUser(ask: Ask, user: User, group: string): Promise<void> {
  const account = accountOf(user);
  if (account) await ask({ resource: 'serviceaccounts', group, ...account });
  else await ask({ resource: 'users', group, name: user.name });
}

async function askAll(ask: Ask, { uid = '', groups, extra = {} }: User, group: string): Promise<void> {
  if (uid !== '') await ask({ resource: 'uids', name: uid });
  for (const name of groups) await ask({ resource: 'groups', group, name });
  for (const [subresource, names] of Object.entries(extra))
    for (const name of names) await ask({ resource: 'userextras', subresource, name });
}

/** All or nothing: who may, may do whatever the other may. */
const legacy: ImpersonationMode = {
  applies: () => true,
  async check(authorizer, wanted, { user }) {
    const ask = asking(authorizer, user, 'impersonate');
    await askUser(ask, wanted, '');
    await askAll(ask, wanted, '');
    return { user: withState(withGroups(wanted)) };
  },
};

/** The request itself has to be allowed in this mode, before it counts who is impersonated. */
function constrained(
  mode: string,
  applies: ImpersonationMode['applies'],
  become: (ask: Ask, wanted: User) => Promise<User>,
  seen: (requestor: User) => User = (requestor) => requestor,
): ImpersonationMode {
  const constraint = `impersonate:${mode}`;
  return {
    applies,
    async check(authorizer, wanted, attributes) {
      const user = seen(attributes.user);
      const verb = `impersonate-on:${mode}:${attributes.verb}`;
      await authorize(authorizer, { ...attributes, user, verb });
      const became = await become(asking(authorizer, user, constraint), wanted);
      return { user: withState(became), constraint };
    },
  };
}

const asNode = (wanted: User): User => ({ ...wanted, groups: ['system:nodes'] });

/** An account may be the node that it runs on; authorizers see which keys its token has, and no node's name. */
const associatedNode = constrained(
  'associated-node',
  (wanted, requestor) => {
    const node = nodeOf(wanted);
    const own = requestor.extra?.[NODE_KEY] ?? [];
    return (
      node !== undefined &&
      onlyNamed(wanted) &&
      accountOf(requestor) !== undefined &&
      own.length === 1 &&
      own[0] === node
    );
  },
  async (ask, wanted) => {
    await ask({ resource: 'nodes', name: '*' });
    return asNode(wanted);
  },
  (requestor) => ({
    ...requestor,
    extra: { [ASSOCIATED_KEYS]: Object.keys(requestor.extra ?? {}).sort() },
  }),
);

const arbitraryNode = constrained(
  'arbitrary-node',
  (wanted) => nodeOf(wanted) !== undefined && onlyNamed(wanted),
  async (ask, wanted) => {
    await ask({ resource: 'nodes', name: nodeOf(wanted)! });
    return asNode(wanted);
  },
);

const serviceAccount = constrained(
  'serviceaccount',
  (wanted) => accountOf(wanted) !== undefined && onlyNamed(wanted),
  async (ask, wanted) => {
    await askUser(ask, wanted, AUTHENTICATION);
    return withGroups(wanted);
  },
);

/** All others, with all that is said of them. */
const userInfo = constrained(
  'user-info',
  (wanted) => nodeOf(wanted) === undefined && accountOf(wanted) === undefined,
  async (ask, wanted) => {
    await askUser(ask, wanted, AUTHENTICATION);
    refuse(wanted);
    const { groups, extra = {}, ...rest } = wanted;
    const many = Object.values(extra).flat().length >= MANY || Object.keys(extra).length >= MANY;
    const allGroups = groups.length >= MANY && (await may(ask({ resource: 'groups', name: '*' })));
    const allExtra = many && (await may(ask({ resource: 'userextras', subresource: '*', name: '*' })));
    const asked = { ...rest, groups: allGroups ? [] : groups, extra: allExtra ? {} : extra };
    await askAll(ask, asked, AUTHENTICATION);
    return wanted;
  },
);

const may = (asked: Promise<unknown>): Promise<boolean> =>
  asked.then(
    () => true,
    () => false,
  );

const KEY = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[^A-Z]+$/;

/** What nobody may be in a constrained mode. Throws 403. */
function refuse({ groups, extra = {} }: User): void {
  if (groups.includes('system:masters'))
    throw forbidden(
      { group: AUTHENTICATION, resource: 'groups' },
      'system:masters',
      'impersonating the system:masters group is not allowed',
    );
  const wrong = Object.keys(extra).find((key) => !KEY.test(key));
  if (wrong !== undefined)
    throw forbidden(
      { group: AUTHENTICATION, resource: 'userextras' },
      '',
      `impersonating an invalid key in extra is not allowed: extra.key: Invalid value: ${JSON.stringify(wrong)}: must be a domain-prefixed path (such as "acme.io/foo")`,
    );
}

export const impersonationModes: readonly ImpersonationMode[] = [
  associatedNode,
  arbitraryNode,
  serviceAccount,
  userInfo,
  legacy,
];
