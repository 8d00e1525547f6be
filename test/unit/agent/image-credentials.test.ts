import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Pod } from '#types';
import { CredentialProviders, readProviders } from '../../../src/agent/images/credential-providers.js';
import { keyring, matches, secretCredentials } from '../../../src/agent/images/keyring.js';
import { PullLimit } from '../../../src/agent/images/pull-limit.js';
import { PulledImages } from '../../../src/agent/images/pulled-images.js';
import { FakeClock } from '../../fixtures/fake-clock.js';

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
    const plugins = new CredentialProviders(providers, clock, pino({ level: 'silent' }));
    const asked = () => readFileSync(join(dir, 'asked'), 'utf8').trim().split('\n');
    const given = [{ username: 'one-env', password: 'p' }];
    assert.deepEqual(await plugins.credentials('reg.example/a'), given);
    assert.deepEqual(await plugins.credentials('reg.example/b'), given);
    assert.deepEqual(await plugins.credentials('other.test/b'), []);
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
    assert.deepEqual(await plugins.credentials('reg.example/b'), given);
    assert.equal(asked().length, 2);
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
  const fresh = () => new PulledImages(dir);
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
