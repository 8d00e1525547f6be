/** Services of type LoadBalancer: with the node's own address, and with addresses of a pool. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';

const POOL = '198.51.100.240/29';
const APP = ['create', 'deployment', 'app', '--image', 'keelson.dev/demo', '--replicas', '2'];
const column = 'jsonpath={.status.loadBalancer.ingress[*].ip}';

async function status(url: string): Promise<number> {
  const request = http.get(url, { agent: false, timeout: 2000 });
  request.on('timeout', () => request.destroy(new Error('timeout')));
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  response.resume();
  return response.statusCode!;
}

const expose = (cluster: TestCluster, name: string, port: number) =>
  cluster.kubectl(
    ...['expose', 'deployment', 'app', '--type', 'LoadBalancer', '--name', name],
    ...['--port', `${port}`, '--target-port', '8080'],
  );

const addressOf = (cluster: TestCluster, name: string) =>
  eventually(
    `an address for ${name}`,
    async () => (await cluster.kubectl('get', 'svc', name, '-o', column)) || false,
  );

describe('Services of type LoadBalancer', function () {
  this.timeout(120_000);

  it("get the node's address, where each port leads to one Service", async () => {
    const cluster = await startTestCluster();
    const { kubectl } = cluster;
    try {
      await kubectl(...APP);
      await expose(cluster, 'one', 28_081);
      const address = await addressOf(cluster, 'one');
      const internal = 'jsonpath={.items[0].status.addresses[0].address}';
      assert.equal(address, await kubectl('get', 'nodes', '-o', internal));
      await eventually('an answer', async () => (await status(`http://${address}:28081/`)) === 200);
      await expose(cluster, 'two', 28_081);
      await eventually('the event', async () =>
        /SyncLoadBalancerFailed.*port 28081\/TCP of the nodes is taken by default\/one/.test(
          await kubectl('get', 'events'),
        ),
      );
      assert.match(await kubectl('get', 'svc', 'two', '--no-headers'), /LoadBalancer\s+\S+\s+<pending>/);
      await kubectl('delete', 'svc', 'one');
      assert.equal(await addressOf(cluster, 'two'), address);
      await kubectl('patch', 'svc', 'two', '-p', '{"spec":{"type":"ClusterIP"}}');
      await eventually('no address', async () => (await kubectl('get', 'svc', 'two', '-o', column)) === '');
      await eventually('a closed port', () =>
        status(`http://${address}:28081/`).then(
          () => false,
          (error) => error.code === 'ECONNREFUSED',
        ),
      );
    } finally {
      await cluster.down();
    }
  });

  it('get an address of the pool, on one node, and on another when that is taken out', async () => {
    const cluster = await startTestCluster('--nodes', '2', '--load-balancer-pool', POOL);
    const { kubectl } = cluster;
    try {
      await kubectl(...APP);
      await kubectl('rollout', 'status', 'deployment/app', '--timeout=60s');
      await expose(cluster, 'web', 80);
      const address = await addressOf(cluster, 'web');
      assert.equal(address, '198.51.100.240');
      // Whose neighbours this machine asks for the address.
      const nodes = (
        await kubectl('get', 'nodes', '-o', 'jsonpath={.items[*].status.addresses[0].address}')
      ).split(' ');
      const [route] = JSON.parse(execFileSync('ip', ['-j', 'route', 'get', nodes[0]!]).toString());
      execFileSync('ip', ['route', 'add', POOL, 'dev', route.dev]);
      await eventually('an answer', async () => (await status(`http://${address}/`)) === 200);
      const holder = () =>
        kubectl(
          'get',
          'svc',
          'web',
          '-o',
          'jsonpath={.metadata.annotations.keelson\\.dev/load-balancer-node}',
        );
      const first = await holder();
      const neighbour = () =>
        execFileSync('ip', ['neigh', 'show', address])
          .toString()
          .match(/lladdr (\S+)/)?.[1];
      const before = neighbour();
      await kubectl('label', 'node', first, 'node.kubernetes.io/exclude-from-external-load-balancers=');
      await eventually('another node', async () => ((await holder()) !== first ? true : undefined));
      await eventually(
        'an answer from there',
        async () => (await status(`http://${address}/`)) === 200,
        5000,
      );
      await eventually(
        'the announcement',
        async () => neighbour() !== before && neighbour() !== undefined,
        8000,
      );
      assert.equal(await addressOf(cluster, 'web'), address);
    } finally {
      await cluster.down();
    }
  });
});
