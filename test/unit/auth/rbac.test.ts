/** RBAC: what rules allow, what bindings give, who may grant what, and what the default policy becomes. */
import assert from 'node:assert/strict';
import type { PolicyRule } from '#types';
import { nextBinding, nextRole } from '../../../src/apiserver/rbac/reconcile.js';
import { compact, describeRule, ruleAllows, uncovered } from '../../../src/auth/policy/index.js';
import type { Attributes, User } from '../../../src/auth/user.js';
import { type Harness, startHarness } from '../apiserver/harness.js';

const user = (name: string, ...groups: string[]): User => ({
  name,
  groups: [...groups, 'system:authenticated'],
});
const ask = (who: User, verb: string, what: string, more: Partial<Attributes> = {}): Attributes => {
  const [resource = '', subresource = ''] = what.split('/');
  return {
    user: who,
    verb,
    isResource: true,
    group: '',
    version: 'v1',
    resource,
    subresource,
    namespace: 'default',
    name: '',
    path: '',
    ...more,
  };
};
const rule = (verbs: string, groups: string, resources: string, names?: string): PolicyRule => ({
  verbs: verbs.split(' '),
  apiGroups: groups.split(' ').map((g) => (g === 'core' ? '' : g)),
  resources: resources.split(' '),
  ...(names ? { resourceNames: names.split(' ') } : {}),
});

describe('rbac: rules', () => {
  const a = user('a');
  for (const [expected, given, attributes, title] of [
    [true, rule('get', 'core', 'pods'), ask(a, 'get', 'pods'), 'exact'],
    [false, rule('get', 'core', 'pods'), ask(a, 'get', 'pods/log'), 'not its subresource'],
    [true, rule('get', 'core', 'pods/log'), ask(a, 'get', 'pods/log'), 'subresource'],
    [true, rule('get', '*', '*/scale'), ask(a, 'get', 'deployments/scale', { group: 'apps' }), 'any scale'],
    [false, rule('get', '*', '*/scale'), ask(a, 'get', 'deployments', { group: 'apps' }), 'scale alone'],
    [true, rule('*', '*', '*'), ask(a, 'delete', 'x/y', { group: 'z' }), 'all'],
    [false, rule('*', 'core', '*'), ask(a, 'get', 'deployments', { group: 'apps' }), 'other group'],
    [true, rule('get', 'core', 'secrets', 'a b'), ask(a, 'get', 'secrets', { name: 'b' }), 'named'],
    [false, rule('get', 'core', 'secrets', 'a'), ask(a, 'list', 'secrets'), 'no list of a name'],
    [false, rule('create', 'core', 'secrets', 'a'), ask(a, 'create', 'secrets'), 'no create of a name'],
    [
      true,
      { verbs: ['get'], nonResourceURLs: ['/logs/*'] },
      ask(a, 'get', '', { isResource: false, path: '/logs/x' }),
      'path prefix',
    ],
    [
      false,
      { verbs: ['get'], nonResourceURLs: ['/logs'] },
      ask(a, 'get', '', { isResource: false, path: '/logs/x' }),
      'path is exact without a star',
    ],
  ] as const)
    it(`${title}: ${expected}`, () => assert.equal(ruleAllows(given as PolicyRule, attributes), expected));

  it('cover others by verb, group, resource, name and path', () => {
    const lacking = (owned: PolicyRule[], wanted: PolicyRule[]) =>
      compact(uncovered(owned, wanted)).map(describeRule);
    assert.deepEqual(lacking([rule('*', '*', '*')], [rule('get list', 'apps', 'x y')]), []);
    assert.deepEqual(lacking([rule('get', 'core', 'pods')], [rule('get list watch', 'core', 'pods')]), [
      '{APIGroups:[""], Resources:["pods"], Verbs:["list" "watch"]}',
    ]);
    assert.deepEqual(lacking([rule('get', 'core', 'secrets', 'a')], [rule('get', 'core', 'secrets')]), [
      '{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}',
    ]);
    assert.deepEqual(lacking([rule('get', 'core', 'secrets')], [rule('get', 'core', 'secrets', 'a')]), []);
    assert.deepEqual(lacking([rule('get', '*', '*/scale')], [rule('get', 'apps', 'deployments/scale')]), []);
    assert.deepEqual(
      lacking(
        [{ verbs: ['get'], nonResourceURLs: ['/a*'] }],
        [{ verbs: ['get'], nonResourceURLs: ['/ab', '/b'] }],
      ),
      ['{NonResourceURLs:["/b"], Verbs:["get"]}'],
    );
  });
});

describe('rbac: in the server', () => {
  let h: Harness;
  const role = (name: string, ...rules: PolicyRule[]) => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name, namespace: 'default' },
    rules,
  });
  const binding = (name: string, subjects: object[], ref = name, kind = 'Role', namespace = 'default') => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name, namespace },
    roleRef: { kind, name: ref },
    subjects,
  });
  before(async () => {
    h = await startHarness();
  });
  after(() => h.close());
  const decide = (a: Attributes) => h.auth.authorizer.authorize(a);
  const allowed = async (a: Attributes) => (await decide(a)).decision === 'allow';

  it('grants to users, groups and accounts, in their namespace, from the moment of the binding', async () => {
    await h.of('roles').create(role('reader', rule('get list', 'core', 'pods')));
    const ann = user('ann');
    assert.equal(await allowed(ask(ann, 'get', 'pods')), false);
    await h.of('rolebindings').create(
      binding('reader', [
        { kind: 'User', name: 'ann' },
        { kind: 'Group', name: 'team' },
        { kind: 'ServiceAccount', name: 'robot' },
        { kind: 'ServiceAccount', name: 'far', namespace: 'other' },
      ]),
    );
    assert.deepEqual(await decide(ask(ann, 'get', 'pods')), {
      decision: 'allow',
      reason: 'RBAC: allowed by RoleBinding "reader/default" of Role "reader" to User "ann"',
    });
    assert.equal(await allowed(ask(ann, 'get', 'pods', { namespace: 'other' })), false);
    assert.equal(await allowed(ask(ann, 'list', 'pods', { namespace: '' })), false);
    assert.equal(await allowed(ask(ann, 'delete', 'pods')), false);
    assert.equal(await allowed(ask(user('bob', 'team'), 'get', 'pods')), true);
    assert.equal(await allowed(ask(user('system:serviceaccount:default:robot'), 'get', 'pods')), true);
    assert.equal(await allowed(ask(user('system:serviceaccount:other:robot'), 'get', 'pods')), false);
    assert.equal(await allowed(ask(user('system:serviceaccount:other:far'), 'get', 'pods')), true);
    await h.of('rolebindings').delete('default', 'reader');
    assert.equal(await allowed(ask(ann, 'get', 'pods')), false);
  });

  it('tells of a role that is not there', async () => {
    await h.of('rolebindings').create(binding('dangling', [{ kind: 'User', name: 'dan' }], 'missing'));
    assert.deepEqual(await decide(ask(user('dan'), 'get', 'pods')), {
      decision: 'no-opinion',
      reason: 'RBAC: role.rbac.authorization.k8s.io "missing" not found',
    });
    await h.of('rolebindings').delete('default', 'dangling');
  });

  it('lets nobody give what they do not have', async () => {
    await h
      .of('roles')
      .create(
        role(
          'granter',
          rule('create update', 'rbac.authorization.k8s.io', 'roles rolebindings'),
          rule('get', 'core', 'pods'),
        ),
      );
    await h.of('rolebindings').create(binding('granter', [{ kind: 'User', name: 'gus' }]));
    const gus = h.as(user('gus'));
    const of = (plural: string) => gus.of<any>({ ...(h.of(plural) as any).resource });
    await of('roles').create(role('same', rule('get', 'core', 'pods')));
    await assert.rejects(of('roles').create(role('more', rule('get list', 'core', 'pods secrets'))), {
      code: 403,
      message:
        'roles.rbac.authorization.k8s.io "more" is forbidden: user "gus" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n' +
        '{APIGroups:[""], Resources:["pods"], Verbs:["list"]}\n{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}',
    });
    await of('rolebindings').create(binding('same', [{ kind: 'User', name: 'x' }]));
    const admin = binding('admin', [{ kind: 'User', name: 'gus' }], 'cluster-admin', 'ClusterRole');
    await assert.rejects(of('rolebindings').create(admin), /not currently held:\n.*APIGroups:\["\*"\]/s);
    await h
      .of('roles')
      .create(role('binder', rule('bind', 'rbac.authorization.k8s.io', 'clusterroles', 'cluster-admin')));
    await h.of('rolebindings').create(binding('binder', [{ kind: 'User', name: 'gus' }]));
    await of('rolebindings').create(admin);
  });

  it('never changes what a binding refers to', async () => {
    const made = await h.of('rolebindings').create(binding('fixed', [], 'view', 'ClusterRole'));
    const other = { ...made, roleRef: { ...made.roleRef, name: 'edit' } };
    await assert.rejects(h.of('rolebindings').update(other), {
      code: 422,
      message:
        'RoleBinding.rbac.authorization.k8s.io "fixed" is invalid: roleRef: Invalid value: {"APIGroup":"rbac.authorization.k8s.io","Kind":"ClusterRole","Name":"edit"}: cannot change roleRef',
    });
  });

  it('is fast: a decision by roles stays below 50 µs', async () => {
    const scheduler = user('system:kube-scheduler');
    const question = ask(scheduler, 'patch', 'persistentvolumeclaims', { namespace: 'x' });
    await decide(question);
    const rounds = 20_000;
    const start = process.hrtime.bigint();
    for (let i = 0; i < rounds; i++) assert.ok(!(decide(question) instanceof Promise));
    const each = Number(process.hrtime.bigint() - start) / rounds / 1000;
    assert.ok(each < 50, `${each} µs`);
  });
});

describe('rbac: the default policy on an existing cluster', () => {
  const meta = { name: 'r', annotations: {}, labels: { own: 'x' } };
  it('adds rules that are missing and keeps the others', () => {
    const existing = { metadata: meta, rules: [rule('get', 'core', 'pods'), rule('get', 'x', 'y')] } as any;
    const wanted = {
      metadata: { name: 'r', labels: { d: '1' } },
      rules: [rule('get list', 'core', 'pods')],
    } as any;
    const next = nextRole(existing, wanted);
    assert.deepEqual(next.rules, [...existing.rules, rule('list', 'core', 'pods')]);
    assert.deepEqual(next.metadata.labels, { own: 'x', d: '1' });
  });
  it('adds subjects that are missing', () => {
    const subject = (name: string) => ({ kind: 'User', name });
    const next = nextBinding(
      { metadata: meta, roleRef: {}, subjects: [subject('a')] } as any,
      { metadata: meta, roleRef: {}, subjects: [subject('a'), subject('b')] } as any,
    );
    assert.deepEqual(next.subjects, [subject('a'), subject('b')]);
  });
});
