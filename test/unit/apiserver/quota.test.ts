/** What namespaces may hold: LimitRanges, ResourceQuotas, default classes; and Events under both names. */
import assert from 'node:assert/strict';
import { resources } from '../../../src/api/resources/index.js';
import { configMap, type Harness, pod, startHarness } from './harness.js';

describe('apiserver: limits of a namespace', () => {
  let h: Harness;
  beforeEach(async () => {
    h = await startHarness();
  });
  afterEach(() => h.close());
  const meta = (name: string) => ({ name, namespace: 'default' });
  const container = (resources: object) => [{ name: 'c', image: 'busybox', resources }];
  const limitRange = (...limits: object[]) =>
    h
      .of('limitranges')
      .create({ apiVersion: 'v1', kind: 'LimitRange', metadata: meta('limits'), spec: { limits } });
  const quota = async (hard: Record<string, string>, spec: object = {}) => {
    const object = {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: meta('quota'),
      spec: { hard, ...spec },
    };
    const made = await h.of('resourcequotas').create(object);
    // What the controller does at once.
    return h.of('resourcequotas').updateStatus({ ...made, status: { hard, used: {} } });
  };
  const refused = (message: string) => ({ code: 403, message });

  it('containers get defaults, and stay between the bounds', async () => {
    await limitRange({
      type: 'Container',
      default: { cpu: '500m' },
      defaultRequest: { cpu: '100m' },
      max: { cpu: '1' },
    });
    const made = await h.of('pods').create(pod('a'));
    assert.deepEqual(made.spec.containers[0].resources, {
      requests: { cpu: '100m' },
      limits: { cpu: '500m' },
    });
    assert.equal(
      made.metadata.annotations['kubernetes.io/limit-ranger'],
      'LimitRanger plugin set: cpu request for container c; cpu limit for container c',
    );
    await assert.rejects(
      h.of('pods').create(pod('b', { containers: container({ limits: { cpu: '2' } }) })),
      refused('pods "b" is forbidden: maximum cpu usage per Container is 1, but limit is 2'),
    );
  });

  it('pods count in all', async () => {
    await limitRange({ type: 'Pod', max: { memory: '1Gi' }, min: { memory: '64Mi' } });
    await assert.rejects(
      h.of('pods').create(pod('a', { containers: container({ requests: { memory: '32Mi' } }) })),
      refused(
        'pods "a" is forbidden: [minimum memory usage per Pod is 64Mi, but request is 32Mi, maximum memory usage per Pod is 1Gi.  No limit is specified]',
      ),
    );
  });

  it('quotas bound the number of objects, also when many come at once', async () => {
    await quota({ configmaps: '3', 'count/configmaps': '10' });
    const results = await Promise.allSettled(
      Array.from({ length: 6 }, (_, i) => h.of('configmaps').create(configMap(`c${i}`))),
    );
    const failed = results.flatMap((r) => (r.status === 'rejected' ? [r.reason.message] : []));
    assert.equal(failed.length, 3);
    assert.match(
      failed[0],
      /^configmaps "c\d" is forbidden: exceeded quota: quota, requested: configmaps=1, used: configmaps=3, limited: configmaps=3$/,
    );
    const { status } = await h.of('resourcequotas').get('default', 'quota');
    assert.deepEqual(status.used, { configmaps: '3', 'count/configmaps': '3' });
    await h
      .of('configmaps')
      .update({ ...(await h.of('configmaps').list({ namespace: 'default' })).items[0], data: {} });
  });

  it('quotas of amounts want them said, and add them up', async () => {
    await quota({ 'requests.cpu': '1', 'limits.memory': '1Gi' });
    await assert.rejects(
      h.of('pods').create(pod('a')),
      refused(
        'pods "a" is forbidden: failed quota: quota: must specify limits.memory for: c; requests.cpu for: c',
      ),
    );
    const resources = { requests: { cpu: '600m' }, limits: { memory: '100Mi' } };
    await h.of('pods').create(pod('b', { containers: container(resources) }), { dryRun: true } as any);
    await h.of('pods').create(pod('b', { containers: container(resources) }));
    await assert.rejects(
      h.of('pods').create(pod('c', { containers: container(resources) })),
      refused(
        'pods "c" is forbidden: exceeded quota: quota, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1',
      ),
    );
  });

  it('quotas with scopes count what is in scope', async () => {
    await quota({ pods: '0' }, { scopes: ['BestEffort'] });
    await assert.rejects(h.of('pods').create(pod('a')), /exceeded quota: quota, requested: pods=1/);
    await h.of('pods').create(pod('b', { containers: container({ requests: { cpu: '1m' } }) }));
  });

  it('pods that run are resized within quotas and bounds only', async () => {
    await quota({ 'requests.cpu': '1' });
    await limitRange({ type: 'Container', max: { cpu: '2' } });
    const sized = (cpu: string) => container({ requests: { cpu }, limits: { cpu: '1' } });
    await h.of('pods').create(pod('a', { containers: sized('500m') }));
    const resize = (containers: object) =>
      h
        .of('pods')
        .patch('default', 'a', { spec: { containers } }, { type: 'strategic', subresource: 'resize' });
    await resize(sized('900m'));
    await assert.rejects(
      resize(container({ requests: { cpu: '1100m' }, limits: { cpu: '1200m' } })),
      refused(
        'pods "a" is forbidden: exceeded quota: quota, requested: requests.cpu=200m, used: requests.cpu=900m, limited: requests.cpu=1',
      ),
    );
    await assert.rejects(
      resize(container({ requests: { cpu: '900m' }, limits: { cpu: '3' } })),
      refused('pods "a" is forbidden: maximum cpu usage per Container is 2, but limit is 3'),
    );
  });

  it('quotas of classes of volume attributes count the claims that have, or come to have, such a class', async () => {
    const of = (operator: string, values: string[] = []) => ({
      scopeSelector: { matchExpressions: [{ scopeName: 'VolumeAttributesClass', operator, values }] },
    });
    await quota({ persistentvolumeclaims: '1' }, of('In', ['gold']));
    const claim = (name: string, volumeAttributesClassName?: string) =>
      h.of('persistentvolumeclaims').create({
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: meta(name),
        spec: {
          accessModes: ['ReadWriteOnce'],
          resources: { requests: { storage: '1Gi' } },
          storageClassName: 's',
          ...(volumeAttributesClassName && { volumeAttributesClassName }),
        },
      });
    await claim('a', 'gold');
    await claim('b', 'silver');
    await claim('c');
    const exceeded =
      'is forbidden: exceeded quota: quota, requested: persistentvolumeclaims=1, used: persistentvolumeclaims=1, limited: persistentvolumeclaims=1';
    await assert.rejects(claim('d', 'gold'), refused(`persistentvolumeclaims "d" ${exceeded}`));
    const { status } = await h.of('resourcequotas').get('default', 'quota');
    assert.deepEqual(status.used, { persistentvolumeclaims: '1' });
  });

  it('claims get the default class', async () => {
    await h.of('storageclasses').create({
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: 'fast', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
      provisioner: 'example.com/fast',
    });
    const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };
    const claim = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: meta('c'), spec };
    assert.equal((await h.of('persistentvolumeclaims').create(claim)).spec.storageClassName, 'fast');
  });

  it('events are the same objects in both groups', async () => {
    const newer = h.client.of<any>(resources.find((r) => r.group === 'events.k8s.io')!);
    await newer.create({
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: meta('e'),
      eventTime: '2026-05-01T12:00:00.000000Z',
      reportingController: 'example.com/c',
      reportingInstance: 'c-1',
      action: 'Try',
      reason: 'Tried',
      type: 'Normal',
      note: 'hello',
      regarding: { kind: 'Pod', name: 'p', namespace: 'default' },
    });
    const old = await h.of('events').get('default', 'e');
    assert.equal(old.message, 'hello');
    assert.equal(old.involvedObject.name, 'p');
    assert.equal(old.apiVersion, 'v1');
    const { items } = await newer.list({ namespace: 'default', fieldSelector: 'regarding.name=p' });
    assert.equal(items[0].note, 'hello');
    assert.equal(items[0].apiVersion, 'events.k8s.io/v1');
  });
});
