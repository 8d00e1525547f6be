import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { tool } from '../../fixtures/tools.js';

const labels = { app: 'web' };
const MANIFESTS = [
  {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', labels },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: 'web',
          image: 'keelson.dev/demo:blue',
          ports: [{ name: 'http', containerPort: 8080 }],
          readinessProbe: { httpGet: { path: '/ready', port: 'http' }, periodSeconds: 1 },
        },
      ],
    },
  },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web' },
    spec: { selector: labels, ports: [{ name: 'front', port: 80, targetPort: 'http' }] },
  },
];

describe('the API as a proxy', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let proxy: ChildProcess | undefined;

  before(async () => {
    cluster = await startTestCluster();
    const list = { apiVersion: 'v1', kind: 'List', items: MANIFESTS };
    await cluster.kubectl.try(['apply', '-f', '-'], { stdin: JSON.stringify(list) });
    await cluster.kubectl('wait', '--for=condition=Ready', 'pod/web', '--timeout=30s');
    await cluster.kubectl('wait', '--for=jsonpath={.subsets[0].addresses}', 'endpoints/web', '--timeout=10s');
  });
  after(async () => {
    proxy?.kill();
    await cluster?.down();
  });

  const raw = (path: string) => cluster.kubectl('get', '--raw', path);

  it('leads to pods and Services', async () => {
    for (const target of ['pods/web', 'pods/web:8080', 'pods/http:web:8080'])
      assert.match(await raw(`/api/v1/namespaces/default/${target}/proxy/ready`), /ok/, target);
    for (const target of ['services/web:front', 'services/web:80', 'services/http:web:80'])
      assert.match(await raw(`/api/v1/namespaces/default/${target}/proxy/ready`), /ok/, target);
  });

  it('serves many at once', async () => {
    const path = '/api/v1/namespaces/default/services/web:front/proxy/healthy';
    const answers = await Promise.all(Array.from({ length: 10 }, () => raw(path)));
    for (const answer of answers) assert.match(answer, /ok/);
  });

  it('leads to what a node tells', async () => {
    const at = `/api/v1/nodes/${cluster.node}`;
    assert.equal(await raw(`${at}/proxy/healthz`), 'ok');
    assert.equal(await raw(`${at}:10250/proxy/healthz`), 'ok');
    const pods = JSON.parse(await raw(`${at}/proxy/pods`));
    assert.equal(pods.kind, 'PodList');
    assert.ok(pods.items.some((pod: any) => pod.metadata.name === 'web'));
    assert.match(await raw(`${at}/proxy/metrics`), /^kubelet_running_pods \d/m);
  });

  it('works through kubectl proxy', async () => {
    proxy = spawn(tool('kubectl'), ['proxy', '--port=0'], {
      env: { ...process.env, KUBECONFIG: cluster.kubectl.kubeconfig },
    });
    const [line] = await once(proxy.stdout!, 'data');
    const port = /:(\d+)/.exec(String(line))![1];
    const at = `http://127.0.0.1:${port}/api/v1/namespaces/default/services/web:front/proxy`;
    const page = await (await fetch(`${at}/`, { headers: { accept: 'text/html' } })).text();
    assert.match(page, /proxy\/json">\/json<\/a>/);
    const put = await fetch(`${at}/memq/server/queues/q`, { method: 'PUT' });
    assert.equal(put.status, 201);
  });
});
