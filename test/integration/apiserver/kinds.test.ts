/** The smaller kinds by the real kubectl: quotas and limits at work, classes, policies, claims. */
import assert from 'node:assert/strict';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';

const meta = (name: string) => ({ name, namespace: 'team' });

describe('kinds: kubectl', function () {
  this.timeout(90_000);
  let cluster: TestCluster;
  const k = (line: string) => cluster.kubectl(...line.split(' '));
  const apply = (object: object) =>
    cluster.kubectl.try(['apply', '-f', '-'], { stdin: JSON.stringify(object) });
  before(async () => {
    cluster = await startTestCluster();
    await k('create namespace team');
  });
  after(() => cluster?.down());

  it('lists every kind of the API', async () => {
    const names = (await k('api-resources -o name')).split('\n');
    for (const name of [
      'ingresses.networking.k8s.io',
      'networkpolicies.networking.k8s.io',
      'storageclasses.storage.k8s.io',
      'persistentvolumeclaims',
      'resourcequotas',
      'limitranges',
      'runtimeclasses.node.k8s.io',
      'certificatesigningrequests.certificates.k8s.io',
      'clusterroles.rbac.authorization.k8s.io',
      'events.events.k8s.io',
      'validatingwebhookconfigurations.admissionregistration.k8s.io',
    ]) {
      assert.ok(names.includes(name), name);
      await k(`get ${name} -A`);
    }
  });

  it('keeps a namespace within its quota', async () => {
    await k('create quota small --hard=pods=2,configmaps=3 -n team');
    await eventually('the status', async () => (await k('get quota small -n team')).includes('pods: 0/2'));
    await k('create deployment web --image=keelson.dev/demo --replicas=3 -n team');
    await eventually('two pods', async () => (await k('get quota small -n team')).includes('pods: 2/2'));
    await eventually('the failure', async () =>
      (await k('get events -n team')).includes(
        'is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2',
      ),
    );
    await k('delete deployment web -n team');
    await eventually('nothing left', async () => (await k('get quota small -n team')).includes('pods: 0/2'));
    assert.match(await k('describe quota small -n team'), /pods +0 +2/);
    await k('delete quota small -n team');
  });

  it('gives containers the defaults of a LimitRange', async () => {
    const limits = [{ type: 'Container', default: { memory: '64Mi' }, defaultRequest: { memory: '32Mi' } }];
    await apply({ apiVersion: 'v1', kind: 'LimitRange', metadata: meta('limits'), spec: { limits } });
    await k('run one --image=keelson.dev/demo -n team');
    const resources = await k('get pod one -n team -o jsonpath={.spec.containers[0].resources}');
    assert.deepEqual(JSON.parse(resources), { limits: { memory: '64Mi' }, requests: { memory: '32Mi' } });
    assert.match(await k('describe limits limits -n team'), /Container +memory +- +- +32Mi +64Mi/);
    await k('delete pod one -n team --now');
  });

  it('says what is wrong in upstream words', async () => {
    const policy = { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: meta('p') };
    const { stderr } = await apply({ ...policy, spec: { podSelector: {}, ingress: [{ from: [{}] }] } });
    assert.match(
      stderr,
      /The NetworkPolicy "p" is invalid: spec.ingress\[0\].from\[0\]: Required value: must specify a peer/,
    );
    assert.match((await apply({ ...policy, spec: { podSelector: {} } })).stdout, /created/);
    assert.match(await k('get netpol -n team'), /^p +<none> +\d+s$/m);
  });

  it('keeps classes and claims', async () => {
    const annotations = { 'storageclass.kubernetes.io/is-default-class': 'true' };
    await apply({
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: 'fast', annotations },
      provisioner: 'example.com/fast',
    });
    assert.match(await k('get sc'), /^fast \(default\) +example.com\/fast +Delete +Immediate +false +\d+s$/m);
    const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };
    await apply({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: meta('c'), spec });
    assert.match(await k('get pvc -n team'), /^c +Pending +fast +<unset> +\d+s$/m);
    await k('delete namespace team');
    assert.match((await cluster.kubectl.try(['get', 'pvc', 'c', '-n', 'team'])).stderr, /not found/);
  });
});
