import assert from 'node:assert/strict';
import type { Pod } from '#types';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { shellPod } from '../../fixtures/pods.js';
import type { Kubectl } from '../../fixtures/tools.js';

describe('pods', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let kubectl: Kubectl;

  before(async () => {
    cluster = await startTestCluster();
    kubectl = cluster.kubectl;
  });
  after(() => cluster?.down());

  const apply = async (...objects: object[]) => {
    const list = { apiVersion: 'v1', kind: 'List', items: objects };
    const { code, stderr } = await kubectl.try(['apply', '-f', '-'], { stdin: JSON.stringify(list) });
    assert.equal(code, 0, stderr);
  };
  const get = async (name: string): Promise<Pod> =>
    JSON.parse(await kubectl('get', 'pod', name, '-o', 'json'));
  const container = async (name: string) => (await get(name)).status?.containerStatuses?.[0];
  const ready = (name: string) => kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=30s');
  const phase = (name: string, wanted: string) =>
    eventually(`pod ${name} ${wanted}`, async () => (await get(name)).status?.phase === wanted);
  const events = (name: string) =>
    kubectl('get', 'events', '--field-selector', `involvedObject.name=${name}`, '--no-headers');

  it('tells exit codes and reasons, and obeys restart policies', async () => {
    await apply(
      shellPod('completed', 'echo done', { spec: { restartPolicy: 'Never' } }),
      shellPod('failed', 'echo why > /dev/termination-log; exit 42', { spec: { restartPolicy: 'Never' } }),
      shellPod('looping', 'exit 1'),
      shellPod('flaky', 'test -e /data/been && sleep 1000; touch /data/been; exit 1', {
        container: { volumeMounts: [{ name: 'data', mountPath: '/data' }] },
        spec: { restartPolicy: 'OnFailure', volumes: [{ name: 'data', emptyDir: {} }] },
      }),
    );
    await phase('completed', 'Succeeded');
    assert.equal((await container('completed'))?.state?.terminated?.reason, 'Completed');
    await phase('failed', 'Failed');
    const { exitCode, reason, message } = (await container('failed'))?.state?.terminated ?? {};
    assert.deepEqual([exitCode, reason, message], [42, 'Error', 'why\n']);
    await eventually('a crash loop', async () => {
      const status = await container('looping');
      return status?.state?.waiting?.reason === 'CrashLoopBackOff' && status.restartCount > 0;
    });
    assert.match(
      await events('looping'),
      /BackOff\s+pod\/looping\s+Back-off restarting failed container c in pod looping/,
    );
    assert.match(await kubectl('get', 'pod', 'looping'), /0\/1\s+CrashLoopBackOff\s+[1-9]/);
    await eventually('a restart', async () => (await container('flaky'))?.ready);
    assert.equal((await container('flaky'))?.restartCount, 1);
    assert.equal((await container('flaky'))?.lastState?.terminated?.exitCode, 1);
  });

  it('gives the logs of the container before', async () => {
    await apply(
      shellPod(
        'twice',
        'test -e /data/been && { echo second; sleep 1000; }; touch /data/been; echo first; exit 1',
        {
          container: { volumeMounts: [{ name: 'data', mountPath: '/data' }] },
          spec: { volumes: [{ name: 'data', emptyDir: {} }] },
        },
      ),
    );
    await eventually('a restart', async () => (await container('twice'))?.ready);
    await eventually('the log', async () => (await kubectl('logs', 'twice')) === 'second\n');
    assert.equal(await kubectl('logs', 'twice', '--previous'), 'first\n');
  });

  it('kills what takes more memory than its limit, and says OOMKilled', async () => {
    await apply(
      shellPod('hungry', 'x=a; while true; do x=$x$x; done', {
        container: { resources: { limits: { memory: '20Mi' } } },
        spec: { restartPolicy: 'Never' },
      }),
    );
    await phase('hungry', 'Failed');
    const state = (await container('hungry'))?.state?.terminated;
    assert.equal(state?.reason, 'OOMKilled');
    assert.equal(state?.exitCode, 137);
  });

  it('ends with SIGTERM within the grace, else with SIGKILL after it', async () => {
    await apply(
      shellPod('polite', 'trap "exit 0" TERM; while true; do sleep 0.1; done', {
        spec: { terminationGracePeriodSeconds: 60 },
      }),
      shellPod('stubborn', 'trap "" TERM; while true; do sleep 0.1; done', {
        spec: { terminationGracePeriodSeconds: 2 },
      }),
    );
    await Promise.all([ready('polite'), ready('stubborn')]);
    const timed = async (name: string) => {
      const started = Date.now();
      await kubectl('delete', 'pod', name);
      return Date.now() - started;
    };
    const [polite, stubborn] = await Promise.all([timed('polite'), timed('stubborn')]);
    assert.ok(polite < 30_000, `polite took ${polite} ms`);
    assert.ok(stubborn >= 2000, `stubborn took only ${stubborn} ms`);
  });

  it('settles environment, command and arguments from every source', async () => {
    await apply(
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'settings' },
        data: { color: 'red', SIZE: 'big' },
      },
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'hidden' }, stringData: { password: 'p4ss' } },
      shellPod('environment', 'echo "$0 $1"; env; sleep 1000', {
        container: {
          args: ['$(COLOR)-arg', '$$(COLOR)'],
          env: [
            { name: 'PLAIN', value: 'yes' },
            { name: 'COLOR', valueFrom: { configMapKeyRef: { name: 'settings', key: 'color' } } },
            { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'hidden', key: 'password' } } },
            { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
            { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
            { name: 'LIMIT', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } } },
            { name: 'COMBINED', value: '$(PLAIN)-$(COLOR)-$(MISSING)' },
          ] as never,
          envFrom: [{ configMapRef: { name: 'settings' }, prefix: 'FROM_' }],
          resources: { limits: { memory: '64Mi' } },
        },
      }),
    );
    await ready('environment');
    const lines = (await kubectl('logs', 'environment')).split('\n');
    assert.equal(lines[0], 'red-arg $(COLOR)');
    const { podIP } = (await get('environment')).status!;
    for (const line of [
      'PLAIN=yes',
      'COLOR=red',
      'PASSWORD=p4ss',
      `NODE=${cluster.node}`,
      `IP=${podIP}`,
      'LIMIT=64',
      'COMBINED=yes-red-$(MISSING)',
      'FROM_SIZE=big',
      'HOSTNAME=environment',
    ])
      assert.ok(lines.includes(line), `${line} in ${lines.join(' ')}`);
  });

  it('mounts volumes, shares them between containers, and updates files of a ConfigMap', async () => {
    const mounts = ['config', 'secret', 'host', 'shared'].map((name) => ({ name, mountPath: `/${name}` }));
    const main = shellPod('', 'sleep 1000').spec.containers[0]!;
    await apply(
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'files' }, data: { 'a.txt': 'one' } },
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'keys' }, stringData: { key: 'secret!' } },
      shellPod('volumes', 'sleep 1000', {
        spec: {
          containers: [
            { ...main, volumeMounts: mounts, securityContext: { runAsUser: 0 } },
            {
              ...main,
              name: 'other',
              command: ['sh', '-c', 'echo hi > /shared/hi; sleep 1000'],
              volumeMounts: mounts,
            },
          ],
          volumes: [
            { name: 'config', configMap: { name: 'files' } },
            { name: 'secret', secret: { secretName: 'keys', defaultMode: 0o400 } },
            { name: 'host', hostPath: { path: cluster.dataDir } },
            { name: 'shared', emptyDir: {} },
          ],
        },
      }),
    );
    await ready('volumes');
    const sh = (script: string) => kubectl('exec', 'volumes', '-c', 'c', '--', 'sh', '-c', script);
    assert.equal(await sh('cat /config/a.txt'), 'one');
    assert.equal(await sh('cat /secret/key; stat -L -c %a /secret/key'), 'secret!400\n');
    assert.match(await sh('ls /host'), /admin\.kubeconfig/);
    await eventually('the shared file', async () => (await sh('cat /shared/hi')) === 'hi\n');
    await kubectl('patch', 'configmap', 'files', '-p', '{"data":{"a.txt":"two"}}');
    await eventually('the new text', async () => (await sh('cat /config/a.txt')) === 'two', 10_000);
  });

  it('runs init containers in order before the others', async () => {
    const init = (name: string, script: string) => ({
      name,
      image: 'keelson.dev/demo:blue',
      command: ['sh', '-c', script],
      volumeMounts: [{ name: 'work', mountPath: '/work' }],
    });
    await apply(
      shellPod('inits', 'cat /work/log; sleep 1000', {
        container: { volumeMounts: [{ name: 'work', mountPath: '/work' }] },
        spec: {
          initContainers: [init('first', 'echo 1 >> /work/log'), init('second', 'echo 2 >> /work/log')],
          volumes: [{ name: 'work', emptyDir: {} }],
        },
      }),
    );
    await ready('inits');
    await eventually('the log', async () => (await kubectl('logs', 'inits', '-c', 'c')) === '1\n2\n');
  });

  it('probes: readiness takes it out, liveness restarts it', async () => {
    const demo = {
      image: 'keelson.dev/demo:blue',
      command: ['/kuard'],
      ports: [{ containerPort: 8080 }],
      readinessProbe: { httpGet: { path: '/ready', port: 8080 }, periodSeconds: 1, failureThreshold: 1 },
      livenessProbe: { httpGet: { path: '/healthy', port: 8080 }, periodSeconds: 1, failureThreshold: 2 },
    };
    await apply(shellPod('probed', '', { container: demo as never }));
    await ready('probed');
    const { podIP } = (await get('probed')).status!;
    const fail = (path: string) =>
      fetch(`http://${podIP}:8080${path}/api?code=500&times=100000`, { method: 'POST' });
    await fail('/ready');
    await eventually('not ready', async () => (await container('probed'))?.ready === false);
    assert.equal((await container('probed'))?.restartCount, 0);
    await fail('/healthy');
    await eventually('a restart', async () => (await container('probed'))?.restartCount === 1);
    assert.match(await events('probed'), /Unhealthy[\s\S]*Killing|Killing[\s\S]*Unhealthy/);
  });

  it('isolates: its own processes, hostname and network, few rights, masked files', async () => {
    await apply(shellPod('isolated', 'sleep 1000'));
    await ready('isolated');
    const sh = (script: string) => kubectl.try(['exec', 'isolated', '--', 'sh', '-c', script]);
    assert.equal((await sh('hostname')).stdout, 'isolated\n');
    assert.equal((await sh('ls /sys/class/net')).stdout.trim().split(/\s+/).sort().join(), 'eth0,lo');
    assert.ok(Number((await sh('ls -d /proc/[0-9]* | wc -l')).stdout) < 10);
    assert.equal((await sh('grep CapBnd /proc/self/status')).stdout.trim(), 'CapBnd:\t00000000a80425fb');
    assert.equal((await sh('grep Seccomp: /proc/self/status')).stdout.trim(), 'Seccomp:\t2');
    assert.notEqual((await sh('mount -t tmpfs none /tmp')).code, 0);
    assert.notEqual((await sh('echo 1 > /proc/sys/kernel/panic')).code, 0);
    assert.equal((await sh('cat /proc/kcore | head -c1 | wc -c')).stdout.trim(), '0');
  });
});
