/** Whom a request counts as, by what its sender may. */
import assert from 'node:assert/strict';
import { impersonated } from '../../../src/apiserver/filters/impersonate.js';
import type { Attributes, Authorizer, User } from '../../../src/auth/user.js';

const POD = { name: 'system:serviceaccount:ns:agent', groups: [] as string[] };
const ON_NODE: User = { ...POD, extra: { 'authentication.kubernetes.io/node-name': ['n1'] } };

/** `verb resource/subresource name`, with the group of impersonation checks in front where there is one. */
const shown = ({ verb, group, resource, subresource, name }: Attributes) =>
  [verb, [group, resource, subresource].filter(Boolean).join('/'), name].filter(Boolean).join(' ');

/** Allows what is listed; `asked` has all that it was asked. */
function allowing(allowed: readonly string[]): { authorizer: Authorizer; asked: string[] } {
  const asked: string[] = [];
  const authorize = (attributes: Attributes) => {
    asked.push(shown(attributes));
    const decision = allowed.includes(asked.at(-1)!) ? ('allow' as const) : ('no-opinion' as const);
    return { decision, reason: '' };
  };
  return { authorizer: { authorize }, asked };
}

const callOf = (headers: Record<string, string>, user: User) =>
  ({
    method: 'GET',
    path: '/api/v1/pods',
    query: new URLSearchParams(),
    header: (name: string) => headers[name],
    headerNames: () => Object.keys(headers),
    user,
  }) as any;

const A = 'authentication.k8s.io';

describe('impersonation', () => {
  const table: [string, string[], Record<string, string>, User, string][] = [
    ['no headers', [], {}, POD, `${POD.name} []`],
    [
      'a user without constraints',
      ['impersonate users jane', 'impersonate groups dev'],
      { 'impersonate-user': 'jane', 'impersonate-group': 'dev' },
      POD,
      'jane [dev system:authenticated]',
    ],
    [
      'a user for one kind of request',
      ['impersonate-on:user-info:list pods', `impersonate:user-info ${A}/users jane`],
      { 'impersonate-user': 'jane' },
      POD,
      'jane [system:authenticated] impersonate:user-info',
    ],
    [
      'values of extra keys with a domain',
      [
        'impersonate-on:user-info:list pods',
        `impersonate:user-info ${A}/users jane`,
        `impersonate:user-info ${A}/userextras/acme.io/a x`,
      ],
      { 'impersonate-user': 'jane', 'impersonate-extra-acme.io%2fa': 'x' },
      POD,
      'jane [system:authenticated] impersonate:user-info',
    ],
    [
      'anybody from many groups',
      [
        'impersonate-on:user-info:list pods',
        `impersonate:user-info ${A}/users system:anonymous`,
        `impersonate:user-info ${A}/groups *`,
      ],
      { 'impersonate-user': 'system:anonymous', 'impersonate-group': 'a, b, c, d' },
      POD,
      'system:anonymous [a b c d system:unauthenticated] impersonate:user-info',
    ],
    [
      'a service account',
      ['impersonate-on:serviceaccount:list pods', `impersonate:serviceaccount ${A}/serviceaccounts x`],
      { 'impersonate-user': 'system:serviceaccount:ns:x' },
      POD,
      'system:serviceaccount:ns:x [system:serviceaccounts system:serviceaccounts:ns system:authenticated] impersonate:serviceaccount',
    ],
    [
      'any node',
      ['impersonate-on:arbitrary-node:list pods', `impersonate:arbitrary-node ${A}/nodes n1`],
      { 'impersonate-user': 'system:node:n1' },
      POD,
      'system:node:n1 [system:nodes system:authenticated] impersonate:arbitrary-node',
    ],
    [
      'the node that it runs on',
      ['impersonate-on:associated-node:list pods', `impersonate:associated-node ${A}/nodes *`],
      { 'impersonate-user': 'system:node:n1' },
      ON_NODE,
      'system:node:n1 [system:nodes system:authenticated] impersonate:associated-node',
    ],
  ];
  for (const [title, allowed, headers, user, expected] of table)
    it(`allows ${title}`, async () => {
      const { authorizer } = allowing(allowed);
      const became = await impersonated(authorizer, callOf(headers, user));
      const { name, groups } = became.user;
      assert.equal([name, `[${groups.join(' ')}]`, became.constraint].filter(Boolean).join(' '), expected);
    });

  const on = 'impersonate-on:user-info:list pods';
  const jane = `impersonate:user-info ${A}/users jane`;
  const refused: [string, string[], Record<string, string>, RegExp][] = [
    [
      'what nothing allows',
      [],
      { 'impersonate-user': 'jane' },
      /cannot impersonate-on:user-info:list resource "pods" in API group "" at the cluster scope$/,
    ],
    ['a user alone', [on], { 'impersonate-user': 'jane' }, /cannot impersonate:user-info resource "users"/],
    [
      'administrators in a constrained mode',
      [on, jane, `impersonate:user-info ${A}/groups system:masters`],
      { 'impersonate-user': 'jane', 'impersonate-group': 'system:masters' },
      /impersonating the system:masters group is not allowed/,
    ],
    [
      'groups of nobody',
      [],
      { 'impersonate-group': 'dev' },
      /^requested &user.DefaultInfo\{Name:"", UID:"", Groups:\[\]string\{"dev"\}, Extra:map\[string\]\[\]string\(nil\)\} without impersonating a user name$/,
    ],
  ];
  for (const [title, allowed, headers, message] of refused)
    it(`refuses ${title}`, async () => {
      const { authorizer } = allowing(allowed);
      await assert.rejects(impersonated(authorizer, callOf(headers, POD)), { message });
    });

  it('does not take one node for another', async () => {
    const { authorizer, asked } = allowing([]);
    const call = callOf({ 'impersonate-user': 'system:node:n2' }, ON_NODE);
    await assert.rejects(impersonated(authorizer, call));
    assert.ok(!asked.some((each) => each.includes('associated-node')), asked.join());
  });
});
