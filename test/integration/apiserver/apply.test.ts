/** Server-side apply with the real kubectl. */
import assert from 'node:assert/strict';
import { startServer, type TestServer } from './server.js';

const web = (rest = '', image = 'nginx:1') => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default, labels: {app: web}}
spec:
  ${rest}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: c, image: "${image}", ports: [{containerPort: 80}]}
`;

const configMap = (name: string, data: string) => `
apiVersion: v1
kind: ConfigMap
metadata: {name: ${name}, namespace: default}
data: {${data}}
`;

describe('server-side apply with kubectl', function () {
  this.timeout(60_000);
  let s: TestServer;
  const ok = async (args: string, input?: string) => {
    const { stdout, stderr, code } = await s.kubectl(args, input);
    assert.equal(code, 0, `kubectl ${args}: ${stderr}`);
    return stdout;
  };
  const fails = async (args: string, message: RegExp, input?: string) => {
    const { stderr, code } = await s.kubectl(args, input);
    assert.notEqual(code, 0, `kubectl ${args} succeeded`);
    assert.match(stderr, message);
  };
  const get = async (what: string) => JSON.parse(await ok(`get ${what} -o json --show-managed-fields`));
  const owners = async (what: string): Promise<Record<string, any>> =>
    Object.fromEntries(
      (await get(what)).metadata.managedFields.map((e: any) => [
        [e.manager, e.operation, e.subresource].filter(Boolean).join(' '),
        e.fieldsV1,
      ]),
    );

  before(async () => {
    s = await startServer();
    await ok('create serviceaccount default');
  });
  after(() => s.close());

  it('creates, applies again without change, and removes what the manifest has no more', async () => {
    const args = 'apply --server-side -f -';
    assert.equal(await ok(args, web('replicas: 2')), 'deployment.apps/web serverside-applied\n');
    const first = await get('deployment web');
    await ok(args, web('replicas: 2'));
    assert.equal((await get('deployment web')).metadata.resourceVersion, first.metadata.resourceVersion);
    await ok(args, web('replicas: 2\n  paused: true'));
    assert.equal((await get('deployment web')).spec.paused, true);
    await ok(args, web('replicas: 2'));
    assert.equal((await get('deployment web')).spec.paused, undefined);
  });

  it('answers 201 to who creates and 200 to who changes, and takes YAML', async () => {
    const send = (body: string, query = 'fieldManager=http') =>
      s.http('PATCH', `/api/v1/namespaces/default/configmaps/http?${query}`, {
        headers: { 'content-type': 'application/apply-patch+yaml' },
        body,
      });
    assert.equal((await send(configMap('http', 'a: "1"'))).code, 201);
    assert.equal((await send(configMap('http', 'a: "2"'))).code, 200);
    const twice = await send(configMap('http', 'a: "1", a: "3"'));
    assert.match(String(twice.headers['warning']), /key \\?"a\\?" already set in map/);
    assert.deepEqual(twice.json.data, { a: '3' });
    const strict = await send(
      configMap('http', 'a: "1", a: "3"'),
      'fieldManager=http&fieldValidation=Strict',
    );
    assert.equal(strict.code, 400);
    assert.match(strict.json.message, /^error strict decoding YAML: .*key "a" already set in map/s);
    const broken = await send('{');
    assert.match(broken.json.message, /^error decoding YAML: /);
    const other = await s.http('PATCH', '/api/v1/namespaces/default/configmaps/http', {
      headers: { 'content-type': 'application/apply-patch+cbor' },
      body: '',
    });
    assert.equal(other.code, 415);
  });

  it('hides managedFields unless asked for them', async () => {
    assert.doesNotMatch(await ok('get deployment web -o yaml'), /managedFields/);
    assert.match(
      await ok('get deployment web -o yaml --show-managed-fields'),
      /managedFields:\n +- apiVersion: apps\/v1/,
    );
  });

  it('shows what would change', async () => {
    const { stdout, code } = await s.kubectl('diff --server-side -f -', web('replicas: 2', 'nginx:2'));
    assert.equal(code, 1);
    assert.match(stdout, /^- +- image: nginx:1\n\+ +- image: nginx:2$/m);
    assert.equal((await s.kubectl('diff --server-side -f -', web('replicas: 2'))).code, 0);
    assert.equal((await get('deployment web')).spec.template.spec.containers[0].image, 'nginx:1');
  });

  it('refuses to take what others own, and does so by force', async () => {
    await ok('scale deployment web --replicas=5');
    await ok('set image deployment/web c=nginx:9');
    await fails(
      'apply --server-side -f -',
      /Apply failed with 2 conflicts: conflicts with "kubectl" with subresource "scale" using apps\/v1:\n- \.spec\.replicas\nconflicts with "kubectl-set" using apps\/v1:\n- \.spec\.template\.spec\.containers\[name="c"\]\.image\n/,
      web('replicas: 2'),
    );
    await ok('apply --server-side --force-conflicts -f -', web('replicas: 2'));
    const { spec } = await get('deployment web');
    assert.equal(spec.replicas, 2);
    assert.equal(spec.template.spec.containers[0].image, 'nginx:1');
    assert.deepEqual(Object.keys(await owners('deployment web')), ['kubectl Apply']);
  });

  it('lets two managers have a part each', async () => {
    const part = (data: string) => configMap('shared', data);
    await ok('apply --server-side --field-manager=one -f -', part('a: "1", both: "x"'));
    await ok('apply --server-side --field-manager=two -f -', part('b: "2", both: "x"'));
    await fails(
      'apply --server-side --field-manager=two -f -',
      /Apply failed with 1 conflict: conflict with "one": \.data\.both/,
      part('b: "2", both: "y"'),
    );
    await ok('apply --server-side --field-manager=one -f -', part('a: "1"'));
    assert.deepEqual((await get('configmap shared')).data, { a: '1', b: '2', both: 'x' });
    await ok('apply --server-side --field-manager=two -f -', part('both: "y"'));
    assert.deepEqual((await get('configmap shared')).data, { a: '1', both: 'y' });
  });

  it('takes over from client-side apply, and gives back', async () => {
    await ok('apply -f -', configMap('moved', 'a: "1", b: "2"'));
    assert.deepEqual(Object.keys(await owners('configmap moved')), ['kubectl-client-side-apply Update']);
    await ok('apply --server-side -f -', configMap('moved', 'a: "2"'));
    assert.deepEqual((await get('configmap moved')).data, { a: '2' });
    assert.deepEqual((await owners('configmap moved'))['kubectl Apply'], { 'f:data': { 'f:a': {} } });
    assert.equal((await owners('configmap moved'))['kubectl-client-side-apply Update'], undefined);
    assert.match(await ok('apply view-last-applied configmap moved'), /^data:\n {2}a: "2"$/m);
    await ok('apply -f -', configMap('moved', 'c: "3"'));
    assert.deepEqual((await get('configmap moved')).data, { c: '3' });
    assert.deepEqual((await owners('configmap moved'))['kubectl-client-side-apply Update']['f:data'], {
      'f:c': {},
    });
  });

  it('sets the annotation of client-side apply, and views it', async () => {
    await ok('create configmap annotated --from-literal=a=1');
    const { writeFileSync } = await import('node:fs');
    writeFileSync(`${s.dir}/annotated.yaml`, configMap('annotated', 'a: "1"'));
    await ok(`apply set-last-applied --create-annotation -f ${s.dir}/annotated.yaml`);
    assert.match(await ok('apply view-last-applied configmap annotated'), /^data:\n {2}a: "1"$/m);
  });

  it('refuses what does not fit', async () => {
    const pod = (container: string) =>
      `apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [${container}]}\n`;
    await fails(
      'apply --server-side -f -',
      /^Error from server: failed to create typed patch object \(default\/p; \/v1, Kind=Pod\): \.spec\.containers\[name="a"\]\.foo: field not declared in schema$/m,
      pod('{name: a, image: x, foo: 1}'),
    );
    await fails(
      'apply --server-side -f -',
      /\.spec\.containers\[name="a"\]\.ports: duplicate entries for key \[containerPort=1,protocol="TCP"\]$/m,
      pod('{name: a, image: x, ports: [{containerPort: 1}, {containerPort: 1}]}'),
    );
  });

  it('names who edits, labels and annotates', async () => {
    await ok('create configmap named --from-literal=a=1');
    await ok('label configmap named x=y');
    await ok('annotate configmap named x=y');
    await ok('patch configmap named -p {"data":{"b":"2"}}');
    assert.deepEqual(Object.keys(await owners('configmap named')).sort(), [
      'kubectl-annotate Update',
      'kubectl-create Update',
      'kubectl-label Update',
      'kubectl-patch Update',
    ]);
  });
});
