import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Pod } from '#types';
import { CredentialProviders, readProviders } from '../../../src/agent/images/credential-providers.js';
import { keyring, matches, secretCredentials } from '../../../src/agent/images/keyring.js';
import type { PodAccounts } from '../../../src/agent/images/provider-tokens.js';
import { PullLimit } from '../../../src/agent/images/pull-limit.js';
import { PulledImages } from '../../../src/agent/images/pulled-images.js';
import { verificationOf } from '../../../src/agent/images/verification.js';
import { FakeClock } from '../../fixtures/fake-clock.js';

const somePod = { metadata: { name: 'p', namespace: 'n' }, spec: {} } as Pod;
const noAccounts: PodAccounts = {
  account: () => Promise.reject(new Error('none')),
  token: () => Promise.reject(new Error('none')),
};
const login = (user: string) => ({ auth: Buffer.from(`${user}:p:w`).toString('base64') });

describe('addresses of credentials', () => {
  for (const [pattern, image, fits] of [
    ['reg.example', 'reg.example/a/b', true],
    ['reg.example', 'reg.example:5000/a', false],
    ['reg.example:5000', 'reg.example:5000/a', true],
    ['*.example', 'reg.example/a', true],
    ['*.example', 'a.reg.example/a', false],
    ['reg*.example', 'registry.example/a', true],
    ['reg.example/team', 'reg.example/team/a', true],
    ['reg.example/team', 'reg.example/other', false],
    ['regXexample', 'reg.example/a', false],
  ] as const)
    it(`${pattern} ${fits ? 'is' : 'is not'} one of ${image}`, () =>
      assert.equal(matches(pattern, image), fits));

  for (const [image, users] of [
    ['reg.example/team/a', ['team', 'all', 'glob']],
    ['reg.example/other', ['all', 'glob']],
    ['docker.io/library/busybox', ['hub']],
    ['none.test/a', []],
  ] as const)
    it(`those for ${image} come with the longest first`, () => {
      const auths = {
        'https://index.docker.io/v1/': login('hub'),
        '*.example': login('glob'),
        'reg.example': login('all'),
        'https://reg.example/v2/team': login('team'),
        'reg.example/t': {},
      };
      assert.deepEqual(
        keyring([{ auths }], image).map(({ username, password }) => `${username} ${password}`),
        users.map((user) => `${user} p:w`),
      );
    });

  it('are those of all pull secrets that are there', () => {
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64');
    const secrets: Record<string, object> = {
      new: {
        metadata: { uid: '1' },
        data: { '.dockerconfigjson': encode({ auths: { 'reg.example': login('a') } }) },
      },
      old: {
        metadata: { uid: '2' },
        data: { '.dockercfg': encode({ 'reg.example': { username: 'b', password: 'c' } }) },
      },
      broken: { metadata: { uid: '3' }, data: { '.dockerconfigjson': 'AAAA' } },
    };
    const pod = {
      metadata: { namespace: 'n' },
      spec: { imagePullSecrets: ['none', 'broken', 'new', 'old'].map((name) => ({ name })) },
    } as Pod;
    assert.deepEqual(
      secretCredentials(pod, 'reg.example/x', (_namespace, name) => secrets[name] as never),
      [
        { username: 'a', password: 'p:w', secret: { uid: '1', namespace: 'n', name: 'new' } },
        { username: 'b', password: 'c', secret: { uid: '2', namespace: 'n', name: 'old' } },
      ],
    );
  });
});

describe('plugins for credentials', () => {
  let dir = '';
  const provider = {
    ...{ name: 'giver', matchImages: ['*.example'], defaultCacheDuration: '1m' },
    ...{
      apiVersion: 'credentialprovider.kubelet.k8s.io/v1',
      args: ['one'],
      env: [{ name: 'SAID', value: 'env' }],
    },
  };
  const write = (providers: object[]) => {
    const file = join(dir, 'config.yaml');
    const config = { kind: 'CredentialProviderConfig', apiVersion: 'kubelet.config.k8s.io/v1', providers };
    writeFileSync(file, JSON.stringify(config));
    return file;
  };
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-test-'));
    const script = `#!/bin/sh
cat >> ${dir}/asked; echo >> ${dir}/asked
echo '{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Registry",
"auth":{"*.example":{"username":"'$1-$SAID'","password":"p"}}}'`;
    writeFileSync(join(dir, 'giver'), script, { mode: 0o755 });
    writeFileSync(join(dir, 'failing'), '#!/bin/sh\necho no >&2; exit 1', { mode: 0o755 });
  });
  after(() => rmSync(dir, { recursive: true }));

  it('are asked once for a registry, until their answer is old', async () => {
    const clock = new FakeClock();
    const providers = readProviders(write([provider, { ...provider, name: 'failing' }]), dir);
    const plugins = new CredentialProviders(providers, noAccounts, clock, pino({ level: 'silent' }));
    const asked = () => readFileSync(join(dir, 'asked'), 'utf8').trim().split('\n');
    const given = [{ username: 'one-env', password: 'p' }];
    assert.deepEqual(await plugins.credentials('reg.example/a', somePod), given);
    assert.deepEqual(await plugins.credentials('reg.example/b', somePod), given);
    assert.deepEqual(await plugins.credentials('other.test/b', somePod), []);
    assert.deepEqual(
      asked().map((line) => JSON.parse(line)),
      [
        {
          ...{ kind: 'CredentialProviderRequest', apiVersion: 'credentialprovider.kubelet.k8s.io/v1' },
          image: 'reg.example/a',
        },
      ],
    );
    clock.advance(61_000);
    assert.deepEqual(await plugins.credentials('reg.example/b', somePod), given);
    assert.equal(asked().length, 2);
  });

  describe('with tokens of accounts', () => {
    const attributes = {
      ...{ serviceAccountTokenAudience: 'reg', cacheType: 'ServiceAccount', requireServiceAccount: true },
      requiredServiceAccountAnnotationKeys: ['role'],
      optionalServiceAccountAnnotationKeys: ['region'],
    };
    const podOf = (serviceAccountName?: string) =>
      ({ ...somePod, spec: serviceAccountName ? { serviceAccountName } : {} }) as Pod;
    /** What a plugin with these attributes is asked and gives for pods of these accounts, one after the other. */
    const ask = async (changes: object, ...accounts: (string | undefined)[]) => {
      rmSync(join(dir, 'asked'), { force: true });
      let count = 0;
      const known: PodAccounts = {
        account: async ({ spec }) => ({
          ...{ apiVersion: 'v1', kind: 'ServiceAccount' },
          metadata: {
            ...{ name: spec.serviceAccountName!, namespace: 'n', uid: `uid-${spec.serviceAccountName}` },
            ...(spec.serviceAccountName === 'plain' ? {} : { annotations: { role: 'puller', other: 'x' } }),
          },
        }),
        token: async ({ spec }, audience) => ({ token: `${audience} ${spec.serviceAccountName} ${++count}` }),
      };
      const file = write([{ ...provider, tokenAttributes: { ...attributes, ...changes } }]);
      const silent = pino({ level: 'silent' });
      const plugins = new CredentialProviders(readProviders(file, dir), known, new FakeClock(), silent);
      const given = [];
      for (const account of accounts)
        given.push(...(await plugins.credentials('reg.example/a', podOf(account))));
      const asked = existsSync(join(dir, 'asked')) ? readFileSync(join(dir, 'asked'), 'utf8') : '';
      const requests = asked.split('\n').filter(Boolean);
      return { given, asked: requests.map((line) => JSON.parse(line)) };
    };

    it('are asked once for an account', async () => {
      const { given, asked } = await ask({}, 'a', 'a', 'b', 'plain', undefined);
      assert.deepEqual(
        asked.map(({ serviceAccountToken, serviceAccountAnnotations }) => [
          serviceAccountToken,
          serviceAccountAnnotations,
        ]),
        [
          ['reg a 1', { role: 'puller' }],
          ['reg b 3', { role: 'puller' }],
        ],
      );
      assert.deepEqual(
        given.map(({ account }) => account?.uid),
        ['uid-a', 'uid-a', 'uid-b'],
      );
    });

    it('are asked for each token, if they say so', async () => {
      const { given, asked } = await ask({ cacheType: 'Token' }, 'a', 'a');
      assert.equal(asked.length, 2);
      assert.deepEqual(
        given.map(({ account }) => account?.uid),
        ['', ''],
      );
    });

    it('may be asked for pods without an account', async () => {
      const { given, asked } = await ask(
        { requireServiceAccount: false, requiredServiceAccountAnnotationKeys: [] },
        undefined,
      );
      assert.ok(!('serviceAccountToken' in asked[0]));
      assert.deepEqual(given, [{ username: 'one-env', password: 'p' }]);
    });

    for (const [changes, message] of [
      [{ serviceAccountTokenAudience: '' }, /serviceAccountTokenAudience is required/],
      [{ requireServiceAccount: undefined }, /requireServiceAccount is required/],
      [{ cacheType: undefined }, /cacheType: Unsupported value: ""/],
      [{ requireServiceAccount: false }, /requiredServiceAccountAnnotationKeys: Forbidden/],
      [{ optionalServiceAccountAnnotationKeys: ['role'] }, /"role" is required as well/],
      [{ requiredServiceAccountAnnotationKeys: ['a', 'a'] }, /Duplicate value: "a"/],
      [{ colour: 'red' }, /tokenAttributes.colour: unknown field/],
    ] as [object, RegExp][])
      it(`are refused: ${message.source}`, () => assert.rejects(ask(changes, 'a'), message));
  });

  for (const [wrong, message] of [
    [[], /at least 1 item in plugins/],
    [[provider, provider], /duplicate provider name "giver"/],
    [[{ ...provider, name: 'a/b' }], /not the name of a program/],
    [[{ ...provider, name: 'absent' }], /plugin binary executable .*absent did not exist/],
    [[{ ...provider, matchImages: [] }], /at least 1 item in matchImages/],
    [[{ ...provider, apiVersion: 'v1' }], /unsupported apiVersion "v1"/],
    [[{ ...provider, defaultCacheDuration: 'long' }], /"long" is not a duration/],
  ] as [object[], RegExp][])
    it(`are refused: ${message.source}`, () =>
      assert.throws(() => readProviders(write(wrong), dir), message));
});

describe('images that were pulled with credentials', () => {
  let dir = '';
  const id = `sha256:${'a'.repeat(64)}`;
  const secret = (uid: string, name = 's') => ({ uid, namespace: 'n', name });
  const one = { username: 'u', password: 'p', secret: secret('1') };
  const fresh = (policy?: string) => new PulledImages(dir, verificationOf(policy));
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-test-'));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  it('are for who has the same ones, or the same secret', async () => {
    await fresh().note(id, 'reg/a', one, () => true);
    const mayUse = (name: string, ...credentials: object[]) => fresh().mayUse(id, name, credentials as never);
    assert.equal(await mayUse('reg/a'), false);
    assert.equal(await mayUse('reg/a', one), true);
    assert.equal(await mayUse('reg/a', { ...one, password: 'new' }), true);
    assert.equal(await mayUse('reg/a', { ...one, secret: secret('2', 'other') }), true);
    assert.equal(await mayUse('reg/a', { ...one, password: 'x', secret: secret('2') }), false);
    assert.equal(await mayUse('reg/b', one), false);
  });

  it('are for the pods of an account, when a plugin gave them for it', async () => {
    const forAccount = (uid: string) => ({ username: 'u', password: 'p', account: secret(uid) });
    await fresh().note(id, 'reg/a', forAccount('1'), () => true);
    const mayUse = (...credentials: object[]) => fresh().mayUse(id, 'reg/a', credentials as never);
    assert.equal(await mayUse(), false);
    assert.equal(await mayUse({ ...forAccount('1'), password: 'new' }), true);
    assert.equal(await mayUse(forAccount('2')), false);
    assert.equal(await mayUse({ username: 'u', password: 'p', secret: secret('1') }), false);
    const other = `sha256:${'c'.repeat(64)}`;
    await fresh().note(other, 'reg/a', forAccount(''), () => true);
    assert.equal(await fresh().mayUse(other, 'reg/a', [forAccount('') as never]), false);
  });

  it('are looked at as the policy of the node says', async () => {
    const preloaded = `sha256:${'d'.repeat(64)}`;
    await fresh().note(id, 'reg.example/a', one, () => true);
    for (const [policy, allowed, ofPulled, ofOther] of [
      ['NeverVerify', [], true, true],
      ['NeverVerifyPreloadedImages', [], false, true],
      ['NeverVerifyAllowlistedImages', [], false, false],
      ['NeverVerifyAllowlistedImages', ['reg.example/a'], true, true],
      ['NeverVerifyAllowlistedImages', ['reg.example/*'], true, true],
      ['NeverVerifyAllowlistedImages', ['reg.exam/*', 'docker.io/library/a'], false, false],
      ['AlwaysVerify', [], false, false],
    ] as const) {
      const images = new PulledImages(dir, verificationOf(policy, [...allowed]));
      assert.equal(await images.mayUse(id, 'reg.example/a', []), ofPulled, `${policy} ${allowed}`);
      assert.equal(await images.mayUse(preloaded, 'reg.example/a', []), ofOther, `${policy} ${allowed}`);
    }
    for (const [policy, allowed, message] of [
      ['Sometimes', [], /verification-policy is NeverVerify/],
      ['AlwaysVerify', ['a'], /for the policy NeverVerifyAllowlistedImages alone/],
      ['NeverVerifyAllowlistedImages', ['reg.example/a:1'], /without tag and digest/],
      ['NeverVerifyAllowlistedImages', ['busybox'], /a full name with its registry/],
      ['NeverVerifyAllowlistedImages', ['reg.example/*/a'], /only patterns ending with/],
      ['NeverVerifyAllowlistedImages', ['/*'], /at least registry hostname/],
    ] as [string, string[], RegExp][])
      assert.throws(() => verificationOf(policy, allowed), message);
  });

  it('are for all once they came without', async () => {
    await fresh().note(id, 'reg/a', one, () => true);
    await fresh().note(id, 'reg/a', undefined, () => true);
    assert.equal(await fresh().mayUse(id, 'reg/a', []), true);
  });

  it('are for all when nobody pulled them, but not while somebody does', async () => {
    assert.equal(await fresh().mayUse(id, 'reg/a', []), true);
    await fresh().during('reg/a', async () => assert.equal(await fresh().mayUse(id, 'reg/a', []), false));
    assert.equal(await fresh().mayUse(id, 'reg/a', []), true);
  });

  it('are forgotten with the image', async () => {
    await fresh().note(id, 'reg/a', one, () => true);
    await fresh().note(`sha256:${'b'.repeat(64)}`, 'reg/b', one, (other) => other !== id);
    assert.equal(await fresh().mayUse(id, 'reg/a', []), true);
  });
});

it('pulls no more at once than it may', async () => {
  const limit = new PullLimit(2);
  let running = 0;
  let most = 0;
  const work = async () => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setImmediate(resolve));
    running--;
  };
  await Promise.all(Array.from({ length: 7 }, () => limit.run(work)));
  assert.equal(most, 2);
});
