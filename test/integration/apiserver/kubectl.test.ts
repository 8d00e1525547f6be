import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startKubectl, startServer, type TestServer } from './server.js';

const manifests = `
apiVersion: v1
kind: ConfigMap
metadata: {name: cm}
data: {a: "1"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "nginx:1"}, {name: side, image: busybox}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
`;

describe('apiserver with kubectl', function () {
  this.timeout(60_000);
  let s: TestServer;
  const ok = async (args: string, input?: string) => {
    const { stdout, stderr, code } = await s.kubectl(args, input);
    assert.equal(code, 0, `kubectl ${args}: ${stderr}`);
    return stdout;
  };
  const fails = async (args: string, message: string | RegExp, input?: string) => {
    const { stderr, code } = await s.kubectl(args, input);
    assert.notEqual(code, 0, `kubectl ${args} succeeded`);
    if (typeof message === 'string') assert.equal(stderr.trim(), message);
    else assert.match(stderr, message);
  };

  before(async () => {
    s = await startServer();
    await ok('create serviceaccount default');
  });
  after(() => s.close());

  it('applies, applies again without change, and applies a change', async () => {
    assert.equal(
      await ok('apply -f -', manifests),
      'configmap/cm created\ndeployment.apps/web created\nservice/web created\n',
    );
    assert.match(await ok('apply -f -', manifests), /^(.* unchanged\n){3}$/);
    const changed = manifests
      .replace('replicas: 2', 'replicas: 3')
      .replace('nginx:1', 'nginx:2')
      .replace(', {name: side, image: busybox}', '');
    assert.match(await ok('apply -f -', changed), /deployment.apps\/web configured/);
    assert.equal(
      await ok('get deployment web -o jsonpath={.spec.replicas},{.spec.template.spec.containers[*].image}'),
      '3,nginx:2',
    );
  });

  it('validates against the schema before it sends, and the server does as well', async () => {
    const wrong = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: wrong}\ndate: {}\n';
    await fails('create -f -', /unknown field "date"/, wrong);
    const warned = await s.kubectl('create --validate=warn -f -', wrong);
    assert.equal(warned.code, 0);
    assert.match(warned.stderr, /Warning: unknown field "date"/);
  });

  it('creates by typed clients, which write protobuf', async () => {
    await ok('create configmap typed --from-literal=k=v');
    assert.equal(await ok('get configmap typed -o jsonpath={.data.k}'), 'v');
    await ok('create deployment typed --image=nginx --replicas=2 --port=80');
    assert.equal(
      await ok('get deployment typed -o jsonpath={.spec.template.spec.containers[0].ports[0].containerPort}'),
      '80',
    );
    await ok('create secret generic typed --from-literal=p=q');
    assert.equal(await ok('get secret typed -o jsonpath={.data.p}'), 'cQ==');
    assert.match(await ok('create token default'), /^eyJ/);
  });

  it('prints tables, wide ones and names', async () => {
    assert.match(await ok('get deployments'), /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\n/);
    assert.match(await ok('get deployment web -o wide'), /CONTAINERS +IMAGES +SELECTOR/);
    assert.match(await ok('get svc'), /kubernetes +ClusterIP +10\.96\.0\.1 +<none> +443\/TCP/);
    assert.equal(await ok('get cm cm -o name'), 'configmap/cm\n');
    assert.match(await ok('get all -A'), /service\/web/);
    assert.match(await ok('get cm cm -o yaml'), /creationTimestamp: "\d/);
  });

  it('labels, annotates, patches, scales, sets and edits', async () => {
    await ok('label cm cm tier=x');
    await fails('label cm cm tier=y', /already has a value/);
    await ok('annotate cm cm note=y');
    await ok('patch cm cm -p {"data":{"b":"2"}}');
    await ok('patch cm cm --type=json -p [{"op":"remove","path":"/data/b"}]');
    assert.equal(
      await ok('get cm cm -o jsonpath={.metadata.labels.tier},{.metadata.annotations.note},{.data}'),
      'x,y,{"a":"1"}',
    );
    await ok('scale deployment web --replicas=7');
    await ok('set image deployment/web c=nginx:3');
    assert.equal(
      await ok('get deployment web -o jsonpath={.spec.replicas},{.spec.template.spec.containers[0].image}'),
      '7,nginx:3',
    );
    await fails('get cm nope', 'Error from server (NotFound): configmaps "nope" not found');
    await fails(
      'get cm --field-selector x=y',
      'Error from server (BadRequest): Unable to find "/v1, Resource=configmaps" that match label selector "", field selector "x=y": "x" is not a known field selector: only "metadata.name", "metadata.namespace"',
    );
  });

  it('discovers and explains', async () => {
    assert.match(await ok('api-resources'), /deployments +deploy +apps\/v1 +true +Deployment/);
    assert.match(await ok('api-versions'), /^apps\/v1$/m);
    assert.match(await ok('version'), /Server Version: v1\.36\.0\+keelson/);
    assert.match(await ok('explain pod.spec.containers'), /FIELD: containers <\[\]Container>/);
    assert.match(
      await ok('get --raw /readyz?verbose'),
      /\[\+\]etcd ok\n[\s\S]*\[\+\]poststarthook\/crd-informer-synced ok\n[\s\S]*readyz check passed/,
    );
    assert.equal(await ok('get --raw /livez/poststarthook/bootstrap-controller'), 'ok');
  });

  it('brings the kubernetes Service back', async () => {
    await ok('delete service kubernetes');
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(await ok('get service kubernetes -o jsonpath={.spec.clusterIP}'), '10.96.0.1');
  });

  it('tells who somebody is and what they may do', async () => {
    assert.match(await ok('auth whoami'), /Username +admin\n/);
    assert.equal(await ok('auth can-i delete pods'), 'yes\n');
    const jane = await s.kubectl('auth can-i delete pods --as jane');
    assert.deepEqual([jane.stdout, jane.code], ['no\n', 1]);
    assert.equal(await ok('auth can-i get /version --as jane'), 'yes\n');
    const token = (await ok('create token default')).trim();
    const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } };
    const answer = JSON.parse(await ok('create --validate=false -o json -f -', JSON.stringify(review)));
    assert.equal(answer.status.user.username, 'system:serviceaccount:default:default');
    review.spec.token = 'nonsense';
    const bad = JSON.parse(await ok('create --validate=false -o json -f -', JSON.stringify(review)));
    assert.equal(bad.status.authenticated, undefined);
    assert.match(await ok('get --raw /openid/v1/jwks'), /"alg":"ES256"/);
  });

  it('watches', async () => {
    const watching = startKubectl('get cm --watch-only -o name', s.dir);
    try {
      const first = once(watching.stdout, 'data');
      await new Promise((resolve) => setTimeout(resolve, 500));
      await ok('create configmap seen');
      assert.match(String((await first)[0]), /configmap\/seen/);
    } finally {
      watching.kill();
    }
  });

  it('waits, deletes, and deletes namespaces in the background', async () => {
    await ok('create configmap temporary');
    assert.equal(await ok('delete cm temporary'), 'configmap "temporary" deleted from default namespace\n');
    await ok('delete cm -l tier=x');
    await fails('get cm cm', /NotFound/);
    await ok('create namespace ns1');
    await ok('delete namespace ns1 --wait=false');
    assert.match(await ok('get ns ns1'), /Terminating/);
    await fails(
      'delete ns default',
      'Error from server (Forbidden): namespaces "default" is forbidden: this namespace may not be deleted',
    );
  });

  describe('pods', () => {
    before(async () => {
      await ok(
        'apply -f -',
        'apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {nodeName: n1, containers: [{name: a, image: i}, {name: b, image: i}]}\n',
      );
      await ok('patch pod p --subresource=status --type=merge -p {"status":{"phase":"Running"}}');
    });

    it('give logs with all options passed on', async () => {
      const [line] = (await ok('logs p -c b --tail=5 --timestamps --since=10s -p')).split('\n');
      const { uid: _, ...asked } = JSON.parse(line!);
      assert.deepEqual(asked, {
        namespace: 'default',
        pod: 'p',
        container: 'b',
        follow: false,
        previous: true,
        timestamps: true,
        tailLines: 5,
        sinceSeconds: 10,
      });
    });

    it('run commands: exit codes, both outputs, input, and 100 MB', async () => {
      assert.equal((await s.kubectl('exec p -c a -- exit 7')).code, 7);
      assert.equal((await s.kubectl('exec p -c a -- exit 0')).code, 0);
      const both = await s.kubectl('exec p -c a -- both');
      assert.deepEqual([both.stdout, both.stderr], ['out\n', 'err\n']);
      const text = 'x'.repeat(1 << 20);
      assert.equal((await s.kubectl('exec -i p -c a -- cat', text)).stdout, text);
      const before = process.memoryUsage().rss;
      const big = startKubectl('exec p -c a -- big 100', s.dir);
      let size = 0;
      for await (const chunk of big.stdout) size += chunk.length;
      assert.equal(size, 100 << 20);
      assert.ok(process.memoryUsage().rss - before < 80 << 20, 'memory must not grow with the stream');
      await fails('exec p -c z -- ls', 'Error from server (BadRequest): container z is not valid for pod p');
    });

    it('run commands for clients that speak SPDY', async () => {
      process.env['KUBECTL_REMOTE_COMMAND_WEBSOCKETS'] = 'false';
      try {
        assert.equal((await s.kubectl('exec p -c a -- exit 7')).code, 7);
        const both = await s.kubectl('exec p -c a -- both');
        assert.deepEqual([both.stdout, both.stderr], ['out\n', 'err\n']);
        const text = 'x'.repeat(1 << 20);
        assert.equal((await s.kubectl('exec -i p -c a -- cat', text)).stdout, text);
      } finally {
        delete process.env['KUBECTL_REMOTE_COMMAND_WEBSOCKETS'];
      }
    });

    for (const websockets of ['true', 'false']) {
      it(`forward ports (WebSocket: ${websockets})`, async () => {
        const target = createServer((_request, response) => response.end('hello')).listen(0, '127.0.0.1');
        await once(target, 'listening');
        const { port } = target.address() as AddressInfo;
        process.env['KUBECTL_PORT_FORWARD_WEBSOCKETS'] = websockets;
        const forward = startKubectl(`port-forward pod/p :${port} -v=6`, s.dir);
        let told = '';
        forward.stderr.on('data', (data) => {
          told += data;
        });
        delete process.env['KUBECTL_PORT_FORWARD_WEBSOCKETS'];
        try {
          const [line] = await once(forward.stdout, 'data');
          const local = /127\.0\.0\.1:(\d+)/.exec(String(line))![1];
          for (let i = 0; i < 3; i++)
            assert.equal(await (await fetch(`http://127.0.0.1:${local}/`)).text(), 'hello');
          assert.doesNotMatch(told, /fallback/, 'a refused WebSocket lets kubectl try SPDY');
        } finally {
          forward.kill();
          target.close();
          target.closeAllConnections();
        }
      });
    }
  });
});
