import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { isReason } from '../../../src/api/machinery/status.js';
import { configMaps, namespaces, secrets, serviceAccounts } from '../../../src/api/resources/index.js';
import { startBootstrapSigner, startTokenCleaner } from '../../../src/controllers/bootstrap-tokens.js';
import { startServiceAccountTokens } from '../../../src/controllers/service-account-tokens.js';
import { Harness } from './harness.js';

const base64 = (text: string) => Buffer.from(text).toString('base64');

const bootstrapToken = (id: string, more: Record<string, string> = {}) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: `bootstrap-token-${id}`, namespace: 'kube-system' },
  type: 'bootstrap.kubernetes.io/token',
  data: Object.fromEntries(
    Object.entries({ 'token-id': id, 'token-secret': 's'.repeat(16), ...more }).map(([k, v]) => [
      k,
      base64(v),
    ]),
  ),
});

describe('controllers: tokens', () => {
  let h: Harness;
  afterEach(() => h.close());
  const secret = (namespace: string, name: string) =>
    h.client
      .of(secrets)
      .get(namespace, name)
      .catch((error) => {
        if (isReason(error, 'NotFound')) return undefined;
        throw error;
      });
  const create = (object: any) => h.client.of(secrets).create(object);

  it('delete bootstrap tokens when their time is over', async () => {
    h = await Harness.start(startTokenCleaner);
    const at = (ms: number) => new Date(h.clock.now() + ms).toISOString();
    await create(bootstrapToken('aaaaaa', { expiration: at(-1000) }));
    await create(bootstrapToken('bbbbbb', { expiration: at(60_000) }));
    await create(bootstrapToken('cccccc'));
    await h.until(
      'the change',
      async () => (await secret('kube-system', 'bootstrap-token-aaaaaa')) === undefined,
    );
    assert.ok(await secret('kube-system', 'bootstrap-token-bbbbbb'));
    h.clock.advance(61_000);
    await h.until(
      'the change',
      async () => (await secret('kube-system', 'bootstrap-token-bbbbbb')) === undefined,
    );
    assert.ok(await secret('kube-system', 'bootstrap-token-cccccc'));
  });

  it('sign cluster-info with each token that may', async () => {
    h = await Harness.start(startBootstrapSigner);
    const info = () => h.client.of(configMaps).get('kube-public', 'cluster-info');
    await h.client.of(configMaps).create({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'cluster-info', namespace: 'kube-public' },
      data: { kubeconfig: 'where: here' },
    });
    await create(bootstrapToken('aaaaaa', { 'usage-bootstrap-signing': 'true' }));
    await create(bootstrapToken('bbbbbb'));
    await h.until('the change', async () => Boolean((await info()).data?.['jws-kubeconfig-aaaaaa']));
    const [header, empty, signature] = (await info()).data!['jws-kubeconfig-aaaaaa']!.split('.');
    assert.deepEqual(JSON.parse(Buffer.from(header!, 'base64url').toString()), {
      alg: 'HS256',
      kid: 'aaaaaa',
    });
    assert.equal(empty, '');
    const payload = Buffer.from('where: here').toString('base64url');
    assert.equal(
      signature,
      createHmac('sha256', 's'.repeat(16)).update(`${header}.${payload}`).digest('base64url'),
    );
    assert.deepEqual(Object.keys((await info()).data!).sort(), ['jws-kubeconfig-aaaaaa', 'kubeconfig']);
    await h.client.of(secrets).delete('kube-system', 'bootstrap-token-aaaaaa');
    await h.until('the change', async () => Object.keys((await info()).data!).length === 1);
  });

  it('fill Secrets for accounts, and delete those of accounts that are gone', async () => {
    h = await Harness.start((options) =>
      startServiceAccountTokens({
        ...options,
        legacyToken: async (t) => `token of ${t.namespace}/${t.account}/${t.secret}`,
      }),
    );
    await h.client
      .of(namespaces)
      .create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'n' } } as never);
    const account = await h.client
      .of(serviceAccounts)
      .create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'robot', namespace: 'n' } });
    const forAccount = (name: string, of: string) => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, namespace: 'n', annotations: { 'kubernetes.io/service-account.name': of } },
      type: 'kubernetes.io/service-account-token',
    });
    await create(forAccount('robot-token', 'robot'));
    await create(forAccount('orphan', 'nobody'));
    await h.until('the change', async () => Boolean((await secret('n', 'robot-token'))?.data?.['token']));
    const filled = (await secret('n', 'robot-token'))!;
    const text = (key: string) => Buffer.from(filled.data![key]!, 'base64').toString();
    assert.deepEqual(
      [text('token'), text('namespace'), text('ca.crt')],
      ['token of n/robot/robot-token', 'n', 'the CA'],
    );
    assert.equal(filled.metadata.annotations!['kubernetes.io/service-account.uid'], account.metadata.uid);
    await h.until('the change', async () => (await secret('n', 'orphan')) === undefined);
    await h.client.of(serviceAccounts).delete('n', 'robot');
    await h.until('the change', async () => (await secret('n', 'robot-token')) === undefined);
  });
});
