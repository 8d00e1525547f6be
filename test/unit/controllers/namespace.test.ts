/** Namespaces: what each gets, and how they end. */
import assert from 'node:assert/strict';
import { configMaps, namespaces, pods, secrets, serviceAccounts } from '../../../src/api/resources/index.js';
import { startNamespaceController } from '../../../src/controllers/namespace.js';
import { startRootCaPublisher } from '../../../src/controllers/root-ca.js';
import { startServiceAccountController } from '../../../src/controllers/service-account.js';
import { Harness, podSpec } from './harness.js';

describe('namespace controllers', function () {
  this.timeout(10_000);
  let h: Harness;
  beforeEach(async () => {
    h = await Harness.start(startNamespaceController, startRootCaPublisher, startServiceAccountController);
  });
  afterEach(() => h.close());

  const createNamespace = async (name: string) => {
    await h.client
      .of(namespaces)
      .create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name }, spec: {} });
    await h.until('its account and CA', async () => {
      const account = await h.find(serviceAccounts, name, 'default');
      return account && (await h.find(configMaps, name, 'kube-root-ca.crt'));
    });
  };
  const isGone = async () => !(await h.find(namespaces, '', 'team'));

  it('give each namespace a default account and the CA, again when they are deleted or changed', async () => {
    await createNamespace('team');
    await h.client.of(serviceAccounts).delete('team', 'default');
    await h.client.of(configMaps).delete('team', 'kube-root-ca.crt');
    await h.until('both again', async () => {
      const account = await h.find(serviceAccounts, 'team', 'default');
      return account && (await h.find(configMaps, 'team', 'kube-root-ca.crt'));
    });
    const patch = { data: { 'ca.crt': 'forged', more: 'x' } };
    await h.client.of(configMaps).patch('team', 'kube-root-ca.crt', patch, { type: 'merge' });
    await h.until('the true CA', async () => {
      const { data } = await h.client.of(configMaps).get('team', 'kube-root-ca.crt');
      return data?.['ca.crt'] === 'the CA' && Object.keys(data).length === 1;
    });
  });

  it('delete all that is in a namespace, and then it', async () => {
    await createNamespace('team');
    await h.client
      .of(secrets)
      .create({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 's', namespace: 'team' } });
    await h.client.of(namespaces).delete('', 'team');
    await h.until('the end', isGone);
    for (const resource of [configMaps, secrets, serviceAccounts])
      assert.deepEqual(await h.list(resource as typeof secrets, 'team'), []);
  });

  it('wait for pods to stop before they take what the pods may use', async () => {
    await createNamespace('team');
    const pod = await h.client.of(pods).create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', namespace: 'team' },
      spec: { ...podSpec(), nodeName: 'a' },
    });
    await h.setReady(pod);
    await h.client.of(namespaces).delete('', 'team');
    const status = await h.until('the condition', async () => {
      const { status: s } = await h.client.of(namespaces).get('', 'team');
      return s?.conditions?.some((c) => c.type === 'NamespaceContentRemaining' && c.status === 'True') && s;
    });
    assert.equal(status.phase, 'Terminating');
    assert.equal(
      status.conditions?.find((c) => c.type === 'NamespaceContentRemaining')?.message,
      'Some resources are remaining: pods. has 1 resource instances',
    );
    assert.ok(await h.find(configMaps, 'team', 'kube-root-ca.crt'), 'the pod can still read it');
    await h.client.of(pods).delete('team', 'p', { gracePeriodSeconds: 0 });
    await h.until('the end', isGone);
  });

  it('tell which finalizers hold a namespace', async () => {
    await createNamespace('team');
    await h.client.of(configMaps).create({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'held', namespace: 'team', finalizers: ['example.com/hold'] },
    });
    await h.client.of(namespaces).delete('', 'team');
    const held = await h.until('the condition', async () => {
      const { status } = await h.client.of(namespaces).get('', 'team');
      return status?.conditions?.find(
        (c) => c.type === 'NamespaceFinalizersRemaining' && c.status === 'True',
      );
    });
    assert.match(held.message ?? '', /example\.com\/hold in 1 resource instances$/);
    await h.client
      .of(configMaps)
      .patch('team', 'held', { metadata: { finalizers: null } }, { type: 'merge' });
    await h.until('the end', isGone);
  });

  it('tell that a namespace is empty which another finalizer holds', async () => {
    await createNamespace('team');
    const of = h.client.of(namespaces);
    const made = await of.get('', 'team');
    const finalizers = [...made.spec!.finalizers!, 'example.com/hold'];
    await of.updateSubresource('', 'team', 'finalize', { ...made, spec: { finalizers } });
    await of.delete('', 'team');
    const left = await h.until('the last one', async () => {
      const namespace = await of.get('', 'team');
      return namespace.spec?.finalizers?.length === 1 && namespace;
    });
    assert.deepEqual(left.spec?.finalizers, ['example.com/hold']);
    const told = left.status?.conditions?.find((c) => c.type === 'NamespaceContentRemaining');
    assert.deepEqual([told?.status, told?.reason], ['False', 'ContentRemoved']);
    await of.updateSubresource('', 'team', 'finalize', { ...left, spec: { finalizers: [] } });
    await h.until('the end', isGone);
  });
});
