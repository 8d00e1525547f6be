import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthenticate } from '../../../src/auth/authenticate.js';
import { loadOrCreatePki, type SigningKey } from '../../../src/auth/pki.js';
import { serviceAccountTokens } from '../../../src/auth/tokens/service-account.js';
import { ADMIN, type Harness, pod, startHarness } from '../apiserver/harness.js';

const ISSUER = 'https://kubernetes.default.svc.cluster.local';

describe('auth: service account tokens', () => {
  let dir: string;
  let key: SigningKey;
  let now = 1_700_000_000_000;
  let objects: Record<string, any>;
  const make = (issuer = ISSUER) =>
    serviceAccountTokens({
      key,
      issuer,
      clock: { now: () => now, elapsed: () => 0, after: () => () => undefined },
      find: (plural, namespace, name) => objects[`${plural}/${namespace}/${name}`],
    });
  const request = { namespace: 'ns', name: 'sa', uid: 'u1', audiences: [], expirationSeconds: 3600 };
  const refused = (promise: Promise<unknown>) => assert.rejects(promise, (error: any) => error.code === 401);

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-test-tokens-'));
    key = (await loadOrCreatePki(dir)).serviceAccountKey;
  });
  after(() => rmSync(dir, { recursive: true, force: true }));
  beforeEach(() => {
    now = 1_700_000_000_000;
    objects = {
      'serviceaccounts/ns/sa': { metadata: { uid: 'u1' } },
      'pods/ns/p': { metadata: { uid: 'p1' } },
    };
  });

  it('name the account, its groups and the pod', async () => {
    const tokens = make();
    const bound = { kind: 'Pod' as const, name: 'p', uid: 'p1' };
    const { token, expirationTimestamp } = await tokens.issue({
      ...request,
      bound,
      node: { name: 'n', uid: 'n1' },
    });
    assert.equal(expirationTimestamp, '2023-11-14T23:13:20Z');
    const user = await createAuthenticate({ tokens: [tokens.authenticate] })({ token });
    assert.equal(user.name, 'system:serviceaccount:ns:sa');
    assert.deepEqual(user.groups, [
      'system:serviceaccounts',
      'system:serviceaccounts:ns',
      'system:authenticated',
    ]);
    assert.deepEqual(user.extra?.['authentication.kubernetes.io/pod-name'], ['p']);
    assert.deepEqual(user.extra?.['authentication.kubernetes.io/node-name'], ['n']);
  });

  it('end with their time, their account and their pod', async () => {
    const tokens = make();
    const { token } = await tokens.issue({ ...request, bound: { kind: 'Pod', name: 'p', uid: 'p1' } });
    await tokens.authenticate(token);
    objects['pods/ns/p'] = { metadata: { uid: 'another' } };
    await refused(tokens.authenticate(token));
    objects['pods/ns/p'] = {
      metadata: { uid: 'p1', deletionTimestamp: new Date(now - 61_000).toISOString() },
    };
    await refused(tokens.authenticate(token));
    objects['pods/ns/p'] = { metadata: { uid: 'p1' } };
    await tokens.authenticate(token);
    now += 3600_000;
    await refused(tokens.authenticate(token));
    now -= 3600_000;
    delete objects['serviceaccounts/ns/sa'];
    await refused(tokens.authenticate(token));
  });

  it('count only for their audience and when signed by this key', async () => {
    const tokens = make();
    const { token } = await tokens.issue({ ...request, audiences: ['vault'] });
    await refused(tokens.authenticate(token));
    assert.deepEqual((await tokens.review(token, ['vault', 'x']))?.audiences, ['vault']);
    const good = (await tokens.issue(request)).token;
    const [head, body, signature] = good.split('.') as [string, string, string];
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString());
    claims.sub = 'system:serviceaccount:kube-system:admin';
    const forged = [head, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.');
    await refused(tokens.authenticate(forged));
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    await refused(tokens.authenticate(`${none}.${body}.`));
    assert.equal(await make('https://other').authenticate(good), undefined);
    assert.equal(await tokens.authenticate('opaque'), undefined);
    await refused(createAuthenticate({ tokens: [tokens.authenticate] })({ token: 'opaque' }));
  });
});

describe('auth: TokenRequest', () => {
  let h: Harness;
  before(async () => {
    h = await startHarness();
    await h.of('pods').create(pod('p', { nodeName: 'n1' }));
  });
  after(() => h.close());
  const create = (spec: object, user = ADMIN) =>
    h.server.transport(user).request<any>({
      method: 'POST',
      path: '/api/v1/namespaces/default/serviceaccounts/default/token',
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec },
    });

  it('gives tokens that authenticate, bound to a pod', async () => {
    const { status, spec } = await create({ boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'p' } });
    assert.equal(spec.expirationSeconds, 3600);
    assert.equal(
      (await h.auth.authenticate({ token: status.token })).name,
      'system:serviceaccount:default:default',
    );
    await h.of('pods').delete('default', 'p', { gracePeriodSeconds: 0 });
    await assert.rejects(h.auth.authenticate({ token: status.token }), (error: any) => error.code === 401);
  });

  it('refuses short times and wrong bindings', async () => {
    await assert.rejects(
      create({ expirationSeconds: 60 }),
      /may not specify a duration less than 10 minutes/,
    );
    await assert.rejects(
      create({ boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'nope' } }),
      (error: any) => error.code === 404,
    );
    const node = { name: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] };
    await h.of('pods').create(pod('p1', { nodeName: 'n1' }));
    await assert.rejects(create({}, node), /node requested token not bound to a pod/);
    await create({ boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'p1' } }, node);
  });
});
