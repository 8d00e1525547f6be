import assert from 'node:assert/strict';
import { ADMIN, type Harness, pod, startHarness } from './harness.js';

const service = (name: string, spec: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'default' },
  spec: { ports: [{ port: 80 }], ...spec },
});

describe('apiserver: admission', () => {
  let h: Harness;
  beforeEach(async () => {
    h = await startHarness();
  });
  afterEach(() => h.close());

  it('gives a pod its account, token volume, tolerations and priority', async () => {
    const made = await h.of('pods').create(pod('p'));
    const { spec } = made;
    assert.equal(spec.serviceAccountName, 'default');
    const [volume] = spec.volumes;
    assert.match(volume.name, /^kube-api-access-[a-z0-9]{5}$/);
    assert.equal(volume.projected.sources[0].serviceAccountToken.expirationSeconds, 3607);
    assert.deepEqual(spec.containers[0].volumeMounts, [
      { name: volume.name, readOnly: true, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' },
    ]);
    assert.equal(spec.priority, 0);
    assert.deepEqual(
      spec.tolerations.map((t: any) => `${t.key}:${t.tolerationSeconds}`),
      ['node.kubernetes.io/not-ready:300', 'node.kubernetes.io/unreachable:300'],
    );
  });

  it('turns the class of a pod into its priority, and knows the classes of the system', async () => {
    const create = (name: string, fields: object = {}) =>
      h.of('priorityclasses').create({
        apiVersion: 'scheduling.k8s.io/v1',
        kind: 'PriorityClass',
        metadata: { name },
        value: 7,
        ...fields,
      });
    const classed = async (name: string, priorityClassName?: string) =>
      (await h.of('pods').create(pod(name, priorityClassName ? { priorityClassName } : {}))).spec;
    assert.equal((await classed('critical', 'system-node-critical')).priority, 2_000_001_000);
    await create('polite', { preemptionPolicy: 'Never' });
    const polite = await classed('polite', 'polite');
    assert.deepEqual([polite.priority, polite.preemptionPolicy], [7, 'Never']);
    await create('usual', { globalDefault: true });
    assert.equal((await classed('plain')).priorityClassName, 'usual');
    const refused = (work: Promise<unknown>, message: RegExp) =>
      assert.rejects(work, (error: any) => error.code === 403 && message.test(error.message));
    await refused(
      create('other', { globalDefault: true }),
      /PriorityClass usual is already marked as default/,
    );
    await refused(classed('none', 'none'), /no PriorityClass with name none was found/);
    await refused(
      h.of('priorityclasses').delete('', 'system-node-critical', {}),
      /this is a system priority class and cannot be deleted/,
    );
  });

  it('gives a pod what its runtime class asks for, and knows the classes', async () => {
    await h.of('runtimeclasses').create({
      ...{ apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name: 'heavy' }, handler: 'h' },
      overhead: { podFixed: { cpu: '10m' } },
      scheduling: { nodeSelector: { kind: 'big' }, tolerations: [{ key: 'big', operator: 'Exists' }] },
    });
    const make = (name: string, spec: Record<string, unknown>) => h.of('pods').create(pod(name, spec));
    const tolerations = [{ key: 'big', operator: 'Equal', value: 'yes', effect: 'NoSchedule' }];
    const { spec } = await make('p', { runtimeClassName: 'heavy', tolerations, nodeSelector: { a: 'b' } });
    assert.deepEqual([spec.overhead, spec.nodeSelector], [{ cpu: '10m' }, { a: 'b', kind: 'big' }]);
    assert.deepEqual(
      spec.tolerations.map((t: any) => t.key),
      ['big', 'node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'].sort((a, b) =>
        a === 'big' ? 1 : b === 'big' ? -1 : 0,
      ),
    );
    await make('same', { runtimeClassName: 'heavy', overhead: { cpu: '0.01' } });
    for (const [fields, message] of [
      [{ runtimeClassName: 'none' }, 'pod rejected: RuntimeClass "none" not found'],
      [{ runtimeClassName: 'heavy', overhead: { cpu: '1' } }, "Pod's Overhead doesn't match RuntimeClass's"],
      [{ overhead: { cpu: '1' } }, 'Pod Overhead set without corresponding RuntimeClass'],
      [{ runtimeClassName: 'heavy', nodeSelector: { kind: 'small' } }, 'conflict: runtimeClass.scheduling'],
    ] as const)
      await assert.rejects(
        make('refused', fields),
        (error: any) => error.code === 403 && error.message.includes(message),
        message,
      );
  });

  it('mounts no token where the pod or the account says so', async () => {
    const made = await h.of('pods').create(pod('p', { automountServiceAccountToken: false }));
    assert.equal(made.spec.volumes, undefined);
  });

  it('waits for the default account, but not for others', async () => {
    await h.of('serviceaccounts').delete('default', 'default', {});
    const creating = h.of('pods').create(pod('early'));
    setTimeout(
      () =>
        void h.of('serviceaccounts').create({
          apiVersion: 'v1',
          kind: 'ServiceAccount',
          metadata: { name: 'default', namespace: 'default' },
        }),
      50,
    );
    assert.equal((await creating).metadata.name, 'early');
    await assert.rejects(
      h.of('pods').create(pod('p', { serviceAccountName: 'robot' })),
      (error: any) =>
        error.code === 403 &&
        error.message ===
          'pods "p" is forbidden: error looking up service account default/robot: serviceaccount "robot" not found',
    );
  });

  it('knows the system priority classes and no others', async () => {
    const made = await h.of('pods').create(pod('p', { priorityClassName: 'system-node-critical' }));
    assert.equal(made.spec.priority, 2_000_001_000);
    await assert.rejects(
      h.of('pods').create(pod('q', { priorityClassName: 'nope' })),
      (error: any) => error.message === 'pods "q" is forbidden: no PriorityClass with name nope was found',
    );
  });

  describe('service addresses', () => {
    it('are distinct under concurrency, in range, and free again after a delete', async () => {
      const made = await Promise.all(
        Array.from({ length: 30 }, (_, i) => h.of('services').create(service(`s${i}`) as any)),
      );
      const ips = new Set(made.map((s: any) => s.spec.clusterIP));
      assert.equal(ips.size, 30);
      for (const ip of ips) assert.match(ip, /^10\.96\.0\.\d+$/);
      const [ip] = [...ips];
      await assert.rejects(
        h.of('services').create(service('taken', { clusterIP: ip }) as any),
        (error: any) =>
          error.code === 422 &&
          error.message ===
            `Service "taken" is invalid: spec.clusterIPs: Invalid value: ["${ip}"]: failed to allocate IP ${ip}: provided IP is already allocated`,
      );
      const owner = made.find((s: any) => s.spec.clusterIP === ip)!;
      await h.of('services').delete('default', owner.metadata.name, {});
      assert.equal(
        (await h.of('services').create(service('taken', { clusterIP: ip }) as any)).spec.clusterIP,
        ip,
      );
    });

    it('leave the tenth to the cluster DNS', async () => {
      const dns = { clusterIP: '10.96.0.10' };
      const refused = /failed to allocate IP 10\.96\.0\.10: provided IP is already allocated/;
      await assert.rejects(h.of('services').create(service('thief', dns) as any), refused);
      const own = service('kube-dns', dns) as any;
      own.metadata.namespace = 'kube-system';
      assert.equal((await h.of('services').create(own)).spec.clusterIP, '10.96.0.10');
    });

    it('do not leak when the write fails or is only tried', async () => {
      await h
        .of('services')
        .create(service('np', { type: 'NodePort', ports: [{ port: 80, nodePort: 30001 }] }) as any);
      for (let i = 0; i < 5; i++) {
        await assert.rejects(
          h.of('services').create(service('np', { type: 'NodePort' }) as any),
          (error: any) => error.code === 409,
        );
        await h.of('services').create(service('try', { type: 'NodePort' }) as any, { dryRun: true });
      }
      const ports = await Promise.all(
        ['a', 'b', 'c'].map(
          async (name) =>
            (await h.of('services').create(service(name, { type: 'NodePort' }) as any)).spec.ports[0]
              .nodePort,
        ),
      );
      assert.deepEqual(ports.sort(), [30000, 30002, 30003]);
      await assert.rejects(
        h.of('services').create(service('full', { type: 'NodePort' }) as any),
        /range is full/,
      );
    });

    it('follow a change of type', async () => {
      const made = await h.of('services').create(service('s') as any);
      const open = await h
        .of('services')
        .patch('default', 's', { spec: { type: 'NodePort' } }, { type: 'merge' });
      assert.equal(open.spec.clusterIP, made.spec.clusterIP);
      assert.ok(open.spec.ports[0].nodePort >= 30000);
      const again = await h
        .of('services')
        .patch('default', 's', { metadata: { labels: { a: 'b' } } }, { type: 'merge' });
      assert.equal(again.spec.ports[0].nodePort, open.spec.ports[0].nodePort);
      const closed = await h
        .of('services')
        .patch('default', 's', { spec: { type: 'ClusterIP' } }, { type: 'merge' });
      assert.equal(closed.spec.ports[0].nodePort, undefined);
    });

    it('refuse node ports out of range, and leave headless services alone', async () => {
      await assert.rejects(
        h
          .of('services')
          .create(service('s', { type: 'NodePort', ports: [{ port: 80, nodePort: 80 }] }) as any),
        (error: any) =>
          error.message ===
          'Service "s" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-30003',
      );
      assert.equal(
        (await h.of('services').create(service('h', { clusterIP: 'None' }) as any)).spec.clusterIP,
        'None',
      );
    });
  });

  describe('pods: binding, eviction', () => {
    const bind = (target: string) =>
      h.server.transport(ADMIN).request({
        method: 'POST',
        path: '/api/v1/namespaces/default/pods/p/binding',
        body: {
          apiVersion: 'v1',
          kind: 'Binding',
          metadata: { name: 'p' },
          target: { kind: 'Node', name: target },
        },
      });

    it('binds once', async () => {
      await h.of('pods').create(pod('p'));
      await bind('n1');
      const bound = await h.of('pods').get('default', 'p');
      assert.equal(bound.spec.nodeName, 'n1');
      assert.equal(bound.status.conditions.find((c: any) => c.type === 'PodScheduled').status, 'True');
      await assert.rejects(
        bind('n2'),
        (error: any) =>
          error.code === 409 &&
          error.message ===
            'Operation cannot be fulfilled on pods "p": pod p is already assigned to node "n1"',
      );
    });

    it('evicts by a graceful delete', async () => {
      await h.of('pods').create(pod('p', { nodeName: 'n1' }));
      await h.server.transport(ADMIN).request({
        method: 'POST',
        path: '/api/v1/namespaces/default/pods/p/eviction',
        body: { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'p' } },
      });
      assert.ok((await h.of('pods').get('default', 'p')).metadata.deletionTimestamp);
    });
  });
});
