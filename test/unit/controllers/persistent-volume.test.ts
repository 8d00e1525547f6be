/** Claims and volumes find each other, and part: binder, protection, local-path provisioner. */
import assert from 'node:assert/strict';
import type { PersistentVolume, PersistentVolumeClaim } from '#types';
import {
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  storageClasses,
  volumeAttributesClasses,
} from '../../../src/api/resources/index.js';
import { startEphemeralVolumeController } from '../../../src/controllers/ephemeral-volume.js';
import { startLocalPathProvisioner } from '../../../src/controllers/local-path/index.js';
import { startPersistentVolumeBinder } from '../../../src/controllers/persistent-volume/index.js';
import {
  startAttributesClassProtection,
  startClaimProtection,
  startVolumeProtection,
} from '../../../src/controllers/volume-protection.js';
import { startScheduler } from '../../../src/scheduler/index.js';
import { Harness, podSpec } from './harness.js';

const size = (storage: string) => ({ resources: { requests: { storage } } });

describe('persistent volumes', function () {
  this.timeout(20_000);
  let h: Harness;
  beforeEach(async () => {
    h = await Harness.start(
      startPersistentVolumeBinder,
      startLocalPathProvisioner,
      startClaimProtection,
      startVolumeProtection,
      startAttributesClassProtection,
      startEphemeralVolumeController,
      (options) => startScheduler({ ...options, random: () => 0 }),
    );
  });
  afterEach(() => h.close());

  const createVolume = (name: string, spec: Partial<PersistentVolume['spec']> = {}, labels = {}) =>
    h.client.of(persistentVolumes).create({
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name, labels },
      spec: {
        capacity: { storage: '1Gi' },
        accessModes: ['ReadWriteOnce'],
        hostPath: { path: `/srv/${name}` },
        ...spec,
      },
    });
  const createClaim = (name: string, spec: Partial<PersistentVolumeClaim['spec']> = {}) =>
    h.client.of(persistentVolumeClaims).create({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name, namespace: 'default' },
      spec: { accessModes: ['ReadWriteOnce'], storageClassName: '', ...size('1Gi'), ...spec },
    });
  const claim = (name: string) => h.find(persistentVolumeClaims, 'default', name);
  const volume = (name: string) => h.find(persistentVolumes, '', name);
  const bound = (name: string) =>
    h.until(`${name} to be bound`, async () => {
      const found = await claim(name);
      return found?.status?.phase === 'Bound' && found;
    });
  const phase = (name: string, wanted: string) =>
    h.until(`${name} to be ${wanted}`, async () => {
      const found = await volume(name);
      return found?.status?.phase === wanted && found;
    });
  const event = (kind: string, wanted: string, namespace = 'default') =>
    h.until(wanted, async () => (await h.events(kind, namespace)).includes(wanted));
  const createPod = (name: string, claimName: string) =>
    h.client.of(pods).create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default' },
      spec: { ...podSpec(), volumes: [{ name: 'data', persistentVolumeClaim: { claimName } }] },
    });

  it('gives a claim the smallest volume that satisfies it', async () => {
    await createVolume('small', { capacity: { storage: '1Gi' } });
    await createVolume('large', { capacity: { storage: '10Gi' } });
    await createVolume('right', { capacity: { storage: '5Gi' } });
    await createVolume('modes', { capacity: { storage: '5Gi' }, accessModes: ['ReadOnlyMany'] });
    await createVolume('classy', { capacity: { storage: '5Gi' }, storageClassName: 'other' });
    await phase('large', 'Available');
    await createClaim('c', size('3Gi'));
    const { spec, status, metadata } = await bound('c');
    assert.equal(spec.volumeName, 'right');
    assert.deepEqual(status, {
      phase: 'Bound',
      accessModes: ['ReadWriteOnce'],
      capacity: { storage: '5Gi' },
    });
    assert.equal(metadata.annotations?.['pv.kubernetes.io/bind-completed'], 'yes');
    const { spec: taken } = await phase('right', 'Bound');
    assert.equal(taken.claimRef?.uid, metadata.uid);
  });

  it('binds by selector, and later when a volume appears', async () => {
    await createVolume('a', {}, { disk: 'slow' });
    await createClaim('c', { selector: { matchLabels: { disk: 'fast' } } });
    await event(
      'PersistentVolumeClaim',
      'FailedBinding: no persistent volumes available for this claim and no storage class is set',
    );
    await createVolume('b', {}, { disk: 'fast' });
    assert.equal((await bound('c')).spec.volumeName, 'b');
  });

  it('binds what names the other, from either side', async () => {
    await createVolume('promised', { claimRef: { namespace: 'default', name: 'heir' } });
    await createVolume('wanted', { capacity: { storage: '9Gi' } });
    await phase('promised', 'Available');
    await createClaim('other', { volumeName: 'wanted' });
    await createClaim('heir');
    assert.equal((await bound('other')).spec.volumeName, 'wanted');
    assert.equal((await bound('heir')).spec.volumeName, 'promised');
    await createVolume('tiny', { capacity: { storage: '1Mi' } });
    await createClaim('picky', { volumeName: 'tiny' });
    await event(
      'PersistentVolumeClaim',
      'VolumeMismatch: Cannot bind to requested volume "tiny": requested PV is too small',
    );
  });

  it('releases a volume whose claim is gone, and gives it to nobody', async () => {
    await createVolume('v');
    await createClaim('c');
    await bound('c');
    await h.client.of(persistentVolumeClaims).delete('default', 'c');
    await phase('v', 'Released');
    await createClaim('d');
    await h.settle();
    assert.equal((await claim('d'))?.status?.phase, 'Pending');
  });

  it('tells that a volume which nobody can delete has failed', async () => {
    await createVolume('v', { persistentVolumeReclaimPolicy: 'Delete' });
    await createClaim('c');
    await bound('c');
    await h.client.of(persistentVolumeClaims).delete('default', 'c');
    const { status } = await phase('v', 'Failed');
    assert.equal(status?.message, 'host_path deleter only supports /tmp/.+ but received provided /srv/v');
  });

  it('calls a claim lost when its volume is gone', async () => {
    await createVolume('v');
    await createClaim('c');
    await bound('c');
    // The finalizer would keep it.
    const patch = { metadata: { finalizers: null } };
    await h.client.of(persistentVolumes).delete('', 'v');
    await h.client.of(persistentVolumes).patch('', 'v', patch, { type: 'merge' });
    await h.until('the claim to be lost', async () => (await claim('c'))?.status?.phase === 'Lost');
    await event(
      'PersistentVolumeClaim',
      'ClaimLost: Bound claim has lost its PersistentVolume. Data on the volume is lost!',
    );
  });

  it('keeps what is in use until it is free', async () => {
    await h.createNode('a');
    await createVolume('v');
    await createClaim('c');
    await bound('c');
    await createPod('p', 'c');
    await h.until('the pod to have a node', async () => (await h.find(pods, 'default', 'p'))?.spec.nodeName);
    await h.client.of(persistentVolumes).delete('', 'v');
    await h.client.of(persistentVolumeClaims).delete('default', 'c');
    await h.settle();
    assert.ok((await claim('c'))?.metadata.deletionTimestamp);
    assert.ok((await volume('v'))?.metadata.deletionTimestamp);
    await h.client.of(pods).delete('default', 'p', { gracePeriodSeconds: 0 });
    await h.until('the claim to go', async () => (await claim('c')) === undefined);
    await h.until('the volume to go', async () => (await volume('v')) === undefined);
  });

  it('makes none for a claim that selects volumes by labels', async () => {
    const annotations = { 'keelson.dev/local-path-folder': '/data' };
    await h.createNode('a');
    await h.client.of(nodes).patch('', 'a', { metadata: { annotations } }, { type: 'merge' });
    await createClaim('c', { storageClassName: undefined, selector: { matchLabels: { of: 'nfs' } } });
    await createPod('p', 'c');
    await h.until('the refusal', async () =>
      (await h.events('PersistentVolumeClaim')).some((told) =>
        /^ProvisioningFailed: .*: claim Selector is not supported$/.test(told),
      ),
    );
  });

  it('makes a folder on the node of the first consumer, which grows and goes with its claim', async () => {
    const annotations = { 'keelson.dev/local-path-folder': '/data' };
    await h.createNode('a');
    await h.client.of(nodes).patch('', 'a', { metadata: { annotations } }, { type: 'merge' });
    await createClaim('c', { storageClassName: undefined });
    await event(
      'PersistentVolumeClaim',
      'WaitForFirstConsumer: waiting for first consumer to be created before binding',
    );
    await createPod('p', 'c');
    const { metadata, spec } = await bound('c');
    assert.equal(spec.storageClassName, 'local-path');
    assert.equal(spec.volumeName, `pvc-${metadata.uid}`);
    const made = await phase(spec.volumeName!, 'Bound');
    assert.equal(made.spec.local?.path, `/data/pvc-${metadata.uid}`);
    await h.until('the pod to have a node', async () => (await h.find(pods, 'default', 'p'))?.spec.nodeName);
    const patch = (storage: string) =>
      h.client.of(persistentVolumeClaims).patch('default', 'c', { spec: size(storage) }, { type: 'merge' });
    await patch('2Gi');
    await h.until('it to grow', async () => (await claim('c'))?.status?.capacity?.['storage'] === '2Gi');
    assert.equal((await volume(spec.volumeName!))?.spec.capacity?.['storage'], '2Gi');
    await h.client
      .of(storageClasses)
      .patch('', 'local-path', { allowVolumeExpansion: false }, { type: 'merge' });
    await assert.rejects(patch('3Gi'), /only dynamically provisioned pvc can be resized/);
    await h.client.of(pods).delete('default', 'p', { gracePeriodSeconds: 0 });
    await h.client.of(persistentVolumeClaims).delete('default', 'c');
    await h.until('the volume to go', async () => (await volume(spec.volumeName!)) === undefined);
  });

  it('chooses a static volume that the node reaches before it asks for one', async () => {
    await h.createNode('a');
    await h.createNode('b');
    const storageClass = {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: 'static' },
    };
    await h.client.of(storageClasses).create({
      ...storageClass,
      provisioner: 'kubernetes.io/no-provisioner',
      volumeBindingMode: 'WaitForFirstConsumer',
    });
    await createClaim('c', { storageClassName: 'static' });
    await createPod('p', 'c');
    await event(
      'Pod',
      "FailedScheduling: 0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind. no new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.",
    );
    const terms = [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: ['b'] }] }];
    await createVolume('v', {
      storageClassName: 'static',
      nodeAffinity: { required: { nodeSelectorTerms: terms } },
    });
    const node = () => h.find(pods, 'default', 'p').then((pod) => pod?.spec.nodeName);
    assert.equal(await h.until('the pod to have a node', node), 'b');
    assert.equal((await bound('c')).spec.volumeName, 'v');
  });

  it('gives the default class to claims that waited for one', async () => {
    const set = (value: string) =>
      h.client
        .of(storageClasses)
        .patch(
          '',
          'local-path',
          { metadata: { annotations: { 'storageclass.kubernetes.io/is-default-class': value } } },
          { type: 'merge' },
        );
    await set('false');
    await createClaim('c', { storageClassName: undefined });
    await createClaim('none');
    await h.settle();
    assert.equal((await claim('c'))?.spec.storageClassName, undefined);
    await set('true');
    await h.until('the class', async () => (await claim('c'))?.spec.storageClassName === 'local-path');
    assert.equal((await claim('none'))?.spec.storageClassName, '');
  });

  it('tells who is to make a volume, and takes what that one makes', async () => {
    await h.client.of(storageClasses).create({
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: 'fast' },
      provisioner: 'csi.example.com',
    });
    const { metadata } = await createClaim('c', { storageClassName: 'fast' });
    await h.until(
      'the annotation',
      async () =>
        (await claim('c'))?.metadata.annotations?.['volume.kubernetes.io/storage-provisioner'] ===
        'csi.example.com',
    );
    await createVolume('made', {
      storageClassName: 'fast',
      claimRef: { namespace: 'default', name: 'c', uid: metadata.uid },
    });
    assert.equal((await bound('c')).spec.volumeName, 'made');
  });

  it('makes no claim of a pod that is not its own', async () => {
    await createClaim('p-tmp');
    await h.client.of(pods).create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', namespace: 'default' },
      spec: {
        ...podSpec(),
        volumes: [
          {
            name: 'tmp',
            ephemeral: { volumeClaimTemplate: { spec: { accessModes: ['ReadWriteOnce'], ...size('1Gi') } } },
          },
        ],
      },
    });
    await event(
      'Pod',
      'FailedBinding: ephemeral volume tmp: PVC default/p-tmp was not created for pod default/p (pod is not owner)',
    );
  });

  it('keeps an attributes class that a claim names', async () => {
    const classes = h.client.of(volumeAttributesClasses);
    for (const name of ['gold', 'unused'])
      await classes.create({
        ...{ apiVersion: 'storage.k8s.io/v1', kind: 'VolumeAttributesClass', driverName: 'd' },
        ...{ metadata: { name }, parameters: { iops: '1' } },
      });
    await createClaim('c', { volumeAttributesClassName: 'gold' });
    const gold = () => h.find(volumeAttributesClasses, '', 'gold');
    await h.until('the finalizer', async () => (await gold())?.metadata.finalizers?.[0]);
    assert.deepEqual((await gold())!.metadata.finalizers, ['kubernetes.io/vac-protection']);
    await classes.delete('', 'gold');
    await classes.delete('', 'unused');
    await h.until(
      'what nobody names to go',
      async () => !(await h.find(volumeAttributesClasses, '', 'unused')),
    );
    assert.ok((await gold())!.metadata.deletionTimestamp);
    await h.client.of(persistentVolumeClaims).delete('default', 'c');
    await h.until('the class to go', async () => !(await gold()));
  });
});
