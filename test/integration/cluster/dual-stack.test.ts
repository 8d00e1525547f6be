/** A cluster whose pods and Services have addresses of both IP families. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { json } from 'node:stream/consumers';
import type { Pod, Service } from '#types';
import { eventually, keelson, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';

const POOL = 'fd00:10:99::10-fd00:10:99::1f';
const ADDRESS = 'fd00:10:99::10';

const pod = (name: string, nodeName: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: 'web', pod: name } },
  spec: {
    nodeName,
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: 'c',
        image: 'keelson.dev/demo:blue',
        env: ['podIPs', 'hostIPs'].map((field) => ({
          ...{ name: field, valueFrom: { fieldRef: { fieldPath: `status.${field}` } } },
        })),
      },
    ],
  },
});

const service = (name: string, spec: object) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }], ...spec },
});

/** The host name of the pod that answers this machine, by a connection of its own. */
async function answering(address: string, port = 80): Promise<string> {
  const request = http.get(`http://[${address}]:${port}/`, { agent: false, timeout: 2000 });
  request.on('timeout', () => request.destroy(new Error('timeout')));
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  return ((await json(response)) as { hostname: string }).hostname;
}

describe('a cluster of two IP families', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let pods: Record<string, string[]>;

  before(async () => {
    cluster = await startTestCluster(
      ...['--nodes', '2', '--ip-families', 'ipv4,ipv6', '--load-balancer-pool', POOL],
    );
    const items = [
      pod('one', 'node-1'),
      pod('two', 'node-2'),
      service('both', { type: 'NodePort', ipFamilyPolicy: 'PreferDualStack' }),
      service('six', { ipFamilies: ['IPv6'], selector: { pod: 'two' } }),
      service('none', { clusterIP: 'None', ipFamilyPolicy: 'RequireDualStack' }),
      service('balanced', { type: 'LoadBalancer', ipFamilies: ['IPv6'] }),
    ];
    await apply({ apiVersion: 'v1', kind: 'List', items });
    await cluster.kubectl('wait', '--for=condition=Ready', 'pod/one', 'pod/two', '--timeout=60s');
    const list = JSON.parse(await cluster.kubectl('get', 'pods', '-o', 'json')) as { items: Pod[] };
    pods = Object.fromEntries(
      list.items.map(({ metadata, status }) => [metadata.name, status!.podIPs!.map(({ ip }) => ip)]),
    );
  });
  after(() => cluster?.down());

  async function apply(object: object): Promise<void> {
    const { code, stderr } = await cluster.kubectl.try(['apply', '-f', '-'], {
      stdin: JSON.stringify(object),
    });
    assert.equal(code, 0, stderr);
  }
  const get = async (name: string) =>
    JSON.parse(await cluster.kubectl('get', 'service', name, '-o', 'json')) as Service;
  const sh = (name: string, script: string) => cluster.kubectl('exec', name, '--', 'sh', '-c', script);
  /** The answer to a request from within a pod. */
  const asked = (name: string, address: string, port: number) =>
    sh(name, `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 3 ${address} ${port}`);

  it('gives nodes and pods addresses of each', async () => {
    const nodes = await cluster.kubectl('get', 'nodes', '-o', 'jsonpath={.items[*].spec.podCIDRs}');
    assert.match(nodes, /^\["10\.\d+\.\d\.0\/24","fd00:10:[\d:]+\/64"\] \["10\./);
    assert.match(pods['one']!.join(), /^10\.\d+\.\d\.2,fd00:10:[\d:]+:2$/);
    const told = await sh('one', 'echo $podIPs $hostIPs');
    assert.match(told, new RegExp(`^${pods['one']!.join()} 10\\.[\\d.]+,fd00:10:[\\d:]+\n$`));
    assert.match(await sh('one', 'cat /etc/hosts'), new RegExp(`^${pods['one']![1]}\tone$`, 'm'));
  });

  it('leads from pod to pod of other nodes, and from this machine', async () => {
    assert.match(await asked('one', pods['two']![1]!, 8080), /"hostname":"two"/);
    assert.equal(await answering(pods['one']![1]!, 8080), 'one');
  });

  it('serves Services at addresses of each of their families', async () => {
    const { spec } = await get('both');
    assert.match(spec.clusterIPs!.join(), /^10\.[\d.]+,fd00:10:/);
    const found = new Set<string>();
    await eventually('both pods', async () => found.add(await answering(spec.clusterIPs![1]!)).size === 2);
    const six = (await get('six')).spec.clusterIP!;
    // The second pod reaches itself.
    for (const from of ['one', 'two']) assert.match(await asked(from, six, 80), /"hostname":"two"/);
    const node = await cluster.kubectl(
      'get',
      'node',
      'node-1',
      '-o',
      'jsonpath={.status.addresses[1].address}',
    );
    assert.match(await answering(node, spec.ports![0]!.nodePort), /one|two/);
    const slices = await cluster.kubectl(
      ...['get', 'endpointslices', '-l', 'kubernetes.io/service-name=both', '--no-headers'],
    );
    assert.match(slices, /IPv4\s+8080\s+10\..*\n.*IPv6\s+8080\s+fd00:|IPv6.*\n.*IPv4/);
    const objects = await cluster.kubectl('get', 'ipaddresses', spec.clusterIPs![1]!, '--no-headers');
    assert.match(objects, /services\/default\/both/);
  });

  it('names them: AAAA and PTR records', async () => {
    const [, address] = (await get('both')).spec.clusterIPs!;
    const lookUp = (name: string) => sh('one', `nslookup ${name}`);
    assert.ok((await lookUp('both.default.svc.cluster.local')).includes(`Address: ${address}`));
    assert.match(await lookUp(address!), /ip6\.arpa\s+name = both\.default\.svc\.cluster\.local/);
    const headless = await lookUp('none.default.svc.cluster.local');
    for (const ip of Object.values(pods).flat()) assert.ok(headless.includes(`Address: ${ip}\n`), headless);
  });

  it('adds the second family to a Service, and takes it away', async () => {
    await apply(service('changing', {}));
    const [first] = (await get('changing')).spec.clusterIPs!;
    const change = (policy: string) =>
      cluster.kubectl('patch', 'svc', 'changing', '-p', JSON.stringify({ spec: { ipFamilyPolicy: policy } }));
    await change('RequireDualStack');
    const dual = (await get('changing')).spec;
    assert.deepEqual([dual.ipFamilies, dual.clusterIPs![0]], [['IPv4', 'IPv6'], first]);
    await eventually('an answer', () => answering(dual.clusterIPs![1]!));
    await change('SingleStack');
    assert.deepEqual((await get('changing')).spec.clusterIPs, [first]);
    const gone = await cluster.kubectl.try(['get', 'ipaddress', dual.clusterIPs![1]!]);
    assert.match(gone.stderr, /NotFound/);
    await assert.rejects(answering(dual.clusterIPs![1]!));
  });

  it('announces the address of a load balancer, also when another node takes it over', async () => {
    const route = JSON.parse(
      execFileSync('ip', ['-j', '-6', 'route', 'get', pods['one']![1]!]).toString(),
    ) as [{ dev: string }];
    execFileSync('ip', ['-6', 'route', 'add', `${ADDRESS}/128`, 'dev', route[0].dev]);
    await eventually('an answer', () => answering(ADDRESS));
    const neighbour = () =>
      execFileSync('ip', ['-6', 'neigh', 'show', ADDRESS])
        .toString()
        .match(/lladdr (\S+)/)?.[1];
    const before = neighbour();
    assert.ok(before);
    const holder = 'jsonpath={.metadata.annotations.keelson\\.dev/load-balancer-node}';
    const first = await cluster.kubectl('get', 'svc', 'balanced', '-o', holder);
    await cluster.kubectl('label', 'node', first, 'node.kubernetes.io/exclude-from-external-load-balancers=');
    await eventually('the advertisement', async () => {
      const now = neighbour();
      return now !== undefined && now !== before;
    });
    await eventually('an answer from there', () => answering(ADDRESS));
  });

  it('keeps to network policies for both', async () => {
    const policy = (from: object) => ({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'policy' },
      spec: { podSelector: { matchLabels: { pod: 'two' } }, ingress: [{ from: [from] }] },
    });
    const reaches = async (family: 0 | 1) =>
      (await asked('one', pods['two']![family]!, 8080).catch(() => '')).includes('"hostname":"two"');
    const both = async () => (await Promise.all([reaches(0), reaches(1)])).join();
    await apply(policy({ ipBlock: { cidr: `${pods['one']![1]}/128` } }));
    await eventually('IPv6 only', async () => (await both()) === 'false,true');
    await apply(policy({ podSelector: { matchLabels: { pod: 'one' } } }));
    await eventually('both', async () => (await both()) === 'true,true');
    await apply(policy({ ipBlock: { cidr: '::/0', except: [`${pods['one']![1]}/128`] } }));
    await eventually('none', async () => (await both()) === 'false,false');
    await cluster.kubectl('delete', 'networkpolicy', 'policy');
  });
});

describe('a cluster of IPv6 alone', function () {
  this.timeout(120_000);

  it('has pods that find the API by its name', async () => {
    const { kubectl, down } = await startTestCluster('--nodes', '2', '--ip-families', 'ipv6');
    try {
      const argv = ['--image=keelson.dev/demo:blue', '--restart=Never', '--command', '--'];
      const script =
        'grep nameserver /etc/resolv.conf; nc -w 3 kubernetes.default.svc 443 </dev/null && echo reached';
      await kubectl('run', 'look', ...argv, 'sh', '-c', script);
      const phase = 'jsonpath={.status.phase}';
      await eventually('its end', async () =>
        /Succeeded|Failed/.test(await kubectl('get', 'pod', 'look', '-o', phase)),
      );
      assert.match(await kubectl('logs', 'look'), /^nameserver fd00:10:[\d:]+:a\nreached\n$/);
      const ips = await kubectl('get', 'pod', 'look', '-o', 'jsonpath={.status.podIPs[*].ip}');
      assert.match(ips, /^fd00:10:[\d:]+:2$/);
    } finally {
      await down();
    }
  });

  it('is not made of families that there are not', async () => {
    const { code, stderr } = await keelson(['up', '--name', 'none', '--ip-families', 'ipv4,ipv5']);
    assert.equal(code, 2);
    assert.match(stderr, /^keelson: --ip-families takes ipv4, ipv6, or both with a comma between them\.$/m);
  });
});
