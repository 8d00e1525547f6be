import assert from 'node:assert/strict';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { type Kubectl, run } from '../../fixtures/tools.js';

const pod = (name: string, node: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: 'web', on: node } },
  spec: {
    nodeName: node,
    terminationGracePeriodSeconds: 1,
    containers: [{ name: 'c', image: 'keelson.dev/demo:blue' }],
  },
});

const service = (name: string, spec: object) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }], ...spec },
});

interface Answer {
  hostname: string;
  request: { client: string };
}

describe('Services of two nodes', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let kubectl: Kubectl;
  const addresses: Record<string, string> = {};

  before(async () => {
    cluster = await startTestCluster('--nodes', '2');
    kubectl = cluster.kubectl;
    const nodes = JSON.parse(await kubectl('get', 'nodes', '-o', 'json')).items;
    for (const { metadata, status } of nodes) addresses[metadata.name] = status.addresses[0].address;
    const items = [
      ...Object.keys(addresses).map((node) => pod(`on-${node}`, node)),
      service('web', { type: 'NodePort' }),
      service('near', {
        ...{ type: 'NodePort', externalTrafficPolicy: 'Local', internalTrafficPolicy: 'Local' },
        selector: { on: Object.keys(addresses)[0] },
      }),
    ];
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
    const { code, stderr } = await kubectl.try(['apply', '-f', '-'], { stdin: list });
    assert.equal(code, 0, stderr);
    await kubectl('wait', '--for=condition=Ready', 'pods', '--all', '--timeout=30s');
  });
  after(async () => {
    await cluster?.down();
    const { stdout } = await run('nft', ['list', 'tables']);
    assert.ok(!stdout.includes(`${cluster.name}\n`), stdout);
  });

  const get = (name: string, path: string) => kubectl('get', 'service', name, '-o', `jsonpath={${path}}`);
  /** One request from this machine, which is none of the nodes; undefined when nobody answers in time. */
  const ask = async (at: string): Promise<Answer | undefined> => {
    const { stdout, code } = await run('curl', ['-s', '--max-time', '1', `http://${at}/json`]);
    return code === 0 ? JSON.parse(stdout) : undefined;
  };

  it('lead from each node to the pods of both', async () => {
    const at = await get('web', '.spec.clusterIP');
    const script = `for i in $(seq 20); do wget -q -O - http://${at}/json | cut -d, -f1; done`;
    for (const node of Object.keys(addresses)) {
      const out = await kubectl('exec', `on-${node}`, '--', 'sh', '-c', script);
      for (const other of Object.keys(addresses))
        assert.match(out, new RegExp(`on-${other}`), `from ${node}`);
    }
  });

  it('are reached from this machine, which is none of the nodes', async () => {
    const at = await get('web', '.spec.clusterIP');
    const hosts = new Set<string | undefined>();
    for (let i = 0; i < 30; i++) hosts.add((await ask(at))?.hostname);
    assert.deepEqual(
      [...hosts].sort(),
      Object.keys(addresses)
        .map((node) => `on-${node}`)
        .sort(),
    );
  });

  it('open the same port on both', async () => {
    const port = await get('web', '.spec.ports[0].nodePort');
    for (const address of Object.values(addresses)) {
      const seen = new Set<string>();
      await eventually(`both through ${address}`, async () => {
        seen.add((await ask(`${address}:${port}`))?.hostname ?? '');
        return seen.size >= 2;
      });
      assert.ok(!seen.has(''), 'each is answered');
    }
  });

  it('keep the client with externalTrafficPolicy Local, and answer only where there is a pod', async () => {
    const port = await get('near', '.spec.ports[0].nodePort');
    const [with_, without] = Object.values(addresses);
    const answer = await eventually('an answer', () => ask(`${with_}:${port}`));
    assert.ok(!Object.values(addresses).includes(answer.request.client.split(':')[0]!));
    assert.doesNotMatch(answer.request.client, /^10\.2\d\d\.\d+\.1:/, "not the pods' gateway");
    assert.equal(await ask(`${without}:${port}`), undefined);
  });

  it('let only clients of their source ranges to a load balancer, and anybody to node ports', async () => {
    const [node] = Object.values(addresses);
    const spec = (ranges: string[]) =>
      service('guarded', {
        type: 'LoadBalancer',
        ports: [{ port: 8888, targetPort: 8080 }],
        loadBalancerSourceRanges: ranges,
      });
    const put = async (ranges: string[]) =>
      kubectl.try(['apply', '-f', '-'], { stdin: JSON.stringify(spec(ranges)) });
    const fromPod = async () => {
      const command = ['timeout', '1', 'wget', '-q', '-O', '/dev/null', `http://${node}:8888/`];
      return (await kubectl.try(['exec', `on-${Object.keys(addresses)[1]}`, '--', ...command])).code === 0;
    };
    const host = node!.replace(/\d+$/, '1/32');
    await put([host, '192.0.2.0/24']);
    await eventually('this machine', async () => (await ask(`${node}:8888`)) !== undefined);
    assert.equal(await fromPod(), false);
    await put(['10.244.0.0/16']);
    await eventually('pods', fromPod);
    assert.equal(await ask(`${node}:8888`), undefined);
    const port = await get('guarded', '.spec.ports[0].nodePort');
    assert.ok(await ask(`${node}:${port}`));
    await put([]);
    await eventually('everybody', async () => (await ask(`${node}:8888`)) !== undefined);
    await kubectl('delete', 'service', 'guarded');
  });

  it('answer only where there is a pod with internalTrafficPolicy Local', async () => {
    const at = await get('near', '.spec.clusterIP');
    const [with_, without] = Object.keys(addresses);
    const ask = (node: string) =>
      kubectl.try(['exec', `on-${node}`, '--', 'timeout', '2', 'wget', '-q', '-O', '-', `http://${at}/json`]);
    assert.match((await ask(with_!)).stdout, new RegExp(`on-${with_}`));
    assert.notEqual((await ask(without!)).code, 0);
  });

  it('lead pods of both to the API server', async () => {
    const at = await get('kubernetes', '.spec.clusterIP');
    for (const node of Object.keys(addresses))
      assert.equal(
        (await kubectl.try(['exec', `on-${node}`, '--', 'nc', '-w', '2', at, '443'])).code,
        0,
        node,
      );
  });
});
