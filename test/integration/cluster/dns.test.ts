import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { Resolver } from 'node:dns/promises';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Service } from '#types';
import { services } from '../../../src/api/resources/index.js';
import { Client, httpsTransport, loadKubeconfig } from '../../../src/client/index.js';
import { RCODE } from '../../../src/network/dns/constants.js';
import { emptyReply } from '../../../src/network/dns/message.js';
import { addressRecord } from '../../../src/network/dns/records.js';
import { type DnsServer, listenDns } from '../../../src/network/dns/server.js';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { service, slice } from '../../fixtures/dns.js';
import { register } from '../../fixtures/registry.js';
import type { Kubectl } from '../../fixtures/tools.js';

/** Of this test alone: the node forwards there. */
const UPSTREAM = `127.77.${(process.pid >> 8) & 255}.${process.pid & 255}`;

const labels = { app: 'db' };
const pod = (name: string, spec: object = {}, own: object = labels) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'ns', labels: own },
  spec: {
    subdomain: 'db',
    hostname: name,
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        name: 'c',
        image: 'keelson.dev/demo:blue',
        readinessProbe: { periodSeconds: 1, httpGet: { path: '/', port: 8080 } },
      },
    ],
    ...spec,
  },
});
const ports = [{ name: 'http', port: 8080 }];
const endpoints = Array.from({ length: 1000 }, (_, i) => ({ addresses: [`10.1.${i >> 8}.${i & 255}`] }));
const manifests = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ns' } },
  pod('db-0'),
  pod('db-1'),
  pod(
    'host',
    {
      ...{
        hostNetwork: true,
        dnsPolicy: 'ClusterFirstWithHostNet',
        subdomain: undefined,
        hostname: undefined,
      },
      containers: [{ name: 'c', image: 'keelson.dev/demo:blue', command: ['sleep', '1000'] }],
    },
    {},
  ),
  service('db', { clusterIP: 'None', selector: labels, ports }),
  service('web', { ports }),
  service('ext', { type: 'ExternalName', externalName: 'www.example' }),
  service('big', { clusterIP: 'None' }),
  slice('big-1', 'big', endpoints, []),
];

describe('cluster DNS', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let kubectl: Kubectl;
  let upstream: DnsServer;
  let dir: string;
  /** On the node itself. */
  let resolver: Resolver;
  let address: string;

  const inPod = async (...command: string[]) =>
    (await kubectl('exec', '-n', 'ns', 'db-1', '--', ...command)).trim();
  const podIp = (name: string) => kubectl('get', 'pod', '-n', 'ns', name, '-o', 'jsonpath={.status.podIP}');
  const linkOf = (ip: string) => execFileSync('ip', ['-4', '-o', 'addr', 'show', 'to', ip]).toString();

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-test-'));
    register({ kind: 'dir', path: dir });
    const resolvConf = join(dir, 'resolv.conf');
    writeFileSync(resolvConf, `nameserver ${UPSTREAM}\nsearch corp.example\n`);
    upstream = await listenDns({
      address: UPSTREAM,
      port: 53,
      resolve: ({ name }) => {
        const found = name.toLowerCase() === 'www.example';
        return found
          ? { ...emptyReply(0), answers: [addressRecord(name, 60, '192.0.2.80')] }
          : emptyReply(RCODE.NXDOMAIN);
      },
    });
    cluster = await startTestCluster('--resolv-conf', resolvConf);
    kubectl = cluster.kubectl;
    address = await kubectl(
      'get',
      'svc',
      '-n',
      'kube-system',
      'kube-dns',
      '-o',
      'jsonpath={.spec.clusterIP}',
    );
    resolver = new Resolver({ timeout: 2000, tries: 2 });
    resolver.setServers([address]);
    const { code, stderr } = await kubectl.try(['apply', '-f', '-'], {
      stdin: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: manifests }),
    });
    assert.equal(code, 0, stderr);
    await kubectl('wait', '-n', 'ns', '--for=condition=Ready', 'pod', '--all', '--timeout=60s');
  });
  after(async () => {
    await cluster?.down();
    await upstream?.close();
    if (dir) rmSync(dir, { recursive: true });
    if (address) assert.equal(linkOf(address), '', 'the address of the cluster DNS is still there');
  });

  it('is a Service at an address that no other can have', async () => {
    assert.match(address, /^10\.\d+\.0\.10$/);
    const taken = JSON.stringify(service('thief', { clusterIP: address, ports }, 'default'));
    const { code, stderr } = await kubectl.try(['create', '-f', '-'], { stdin: taken });
    assert.equal(code, 1);
    assert.match(stderr, /failed to allocate IP .*: provided IP is already allocated/);
  });

  it('comes back when it is deleted, at its address', async () => {
    const inSystem = ['-n', 'kube-system'];
    const wanted = ['service/kube-dns', 'endpoints/kube-dns'];
    // The endpoints may go with their Service before kubectl comes to them.
    await kubectl('delete', ...inSystem, ...wanted, 'endpointslice/kube-dns', '--ignore-not-found');
    await eventually('the Service and its endpoints', async () => {
      const got = await kubectl('get', ...inSystem, ...wanted, 'endpointslice/kube-dns', '-o', 'json');
      const [service, endpoints, slice] = JSON.parse(got).items;
      assert.equal(service.spec.clusterIP, address);
      assert.equal(endpoints.subsets[0].addresses[0].ip, address);
      assert.deepEqual(slice.endpoints[0].addresses, [address]);
      return true;
    });
  });

  it('is what pods ask, with the search path of their namespace', async () => {
    const searches = 'search ns.svc.cluster.local svc.cluster.local cluster.local corp.example';
    assert.equal(
      await inPod('cat', '/etc/resolv.conf'),
      `${searches}\nnameserver ${address}\noptions ndots:5`,
    );
    assert.equal(await inPod('hostname', '-f'), 'db-1.db.ns.svc.cluster.local');
  });

  it('knows Services by address, port and name', async () => {
    const ip = await kubectl('get', 'svc', '-n', 'ns', 'web', '-o', 'jsonpath={.spec.clusterIP}');
    assert.match(await inPod('nslookup', 'web.ns.svc.cluster.local'), new RegExp(`Address: ${ip}$`, 'm'));
    assert.deepEqual(await resolver.resolve4('web.ns.svc.cluster.local'), [ip]);
    assert.deepEqual(await resolver.reverse(ip), ['web.ns.svc.cluster.local']);
    assert.deepEqual(await resolver.resolveSrv('_http._tcp.web.ns.svc.cluster.local'), [
      { name: 'web.ns.svc.cluster.local', port: 8080, priority: 0, weight: 100 },
    ]);
    await assert.rejects(resolver.resolve6('web.ns.svc.cluster.local'), { code: 'ENODATA' });
    await assert.rejects(resolver.resolve4('no.ns.svc.cluster.local'), { code: 'ENOTFOUND' });
    await assert.rejects(resolver.resolve4('web.nowhere.svc.cluster.local'), { code: 'ENOTFOUND' });
  });

  it('knows the pods of a headless Service, together and by their host names', async () => {
    const ips = await Promise.all(['db-0', 'db-1'].map(podIp));
    await eventually(
      'both pods',
      async () => (await resolver.resolve4('db.ns.svc.cluster.local')).length === 2,
    );
    assert.deepEqual((await resolver.resolve4('db.ns.svc.cluster.local')).sort(), [...ips].sort());
    assert.deepEqual(await resolver.resolve4('db-0.db.ns.svc.cluster.local'), [ips[0]]);
    assert.deepEqual(await resolver.reverse(ips[1]!), ['db-1.db.ns.svc.cluster.local']);
    const srv = await resolver.resolveSrv('_http._tcp.db.ns.svc.cluster.local');
    assert.deepEqual(srv.map(({ name, port }) => `${name}:${port}`).sort(), [
      'db-0.db.ns.svc.cluster.local:8080',
      'db-1.db.ns.svc.cluster.local:8080',
    ]);
    assert.deepEqual(await resolver.resolve4(`${ips[0]!.replaceAll('.', '-')}.ns.pod.cluster.local`), [
      ips[0],
    ]);
  });

  it('completes short names in pods', async () => {
    for (const name of ['db', 'db.ns', 'db-0.db', 'db.ns.svc', 'db.ns.svc.cluster.local'])
      await inPod('wget', '-q', '-O', '/dev/null', `http://${name}:8080/`);
  });

  it('asks the node’s own servers for other names', async () => {
    assert.match(await inPod('nslookup', 'www.example'), /Address: 192\.0\.2\.80$/m);
    assert.match(await inPod('nslookup', 'ext.ns.svc.cluster.local'), /canonical name = www\.example/);
    assert.deepEqual(await resolver.resolve4('ext.ns.svc.cluster.local'), ['192.0.2.80']);
    assert.deepEqual(await resolver.resolveCname('ext.ns.svc.cluster.local'), ['www.example']);
    await assert.rejects(resolver.resolve4('other.example'), { code: 'ENOTFOUND' });
  });

  it('serves pods in the node’s network', async () => {
    const shown = await kubectl('exec', '-n', 'ns', 'host', '--', 'cat', '/etc/resolv.conf');
    assert.match(shown, new RegExp(`^nameserver ${address}$`, 'm'));
    const found = await kubectl('exec', '-n', 'ns', 'host', '--', 'nslookup', 'web.ns.svc.cluster.local');
    assert.match(found, /Name:\s+web\.ns\.svc\.cluster\.local/);
  });

  it('gives a thousand addresses, by TCP', async () => {
    assert.equal(new Set(await resolver.resolve4('big.ns.svc.cluster.local')).size, 1000);
  });

  it('knows a new Service within 50 ms', async () => {
    const transport = httpsTransport((await loadKubeconfig(kubectl.kubeconfig)).transport);
    const client = new Client(transport).of<Service>(services);
    const times: number[] = [];
    for (let i = 0; i < 5; i++) {
      await client.create(service(`new-${i}`, { ports }) as never);
      const start = performance.now();
      const name = `new-${i}.ns.svc.cluster.local`;
      while ((await resolver.resolve4(name).catch(() => [])).length === 0);
      times.push(performance.now() - start);
    }
    await transport.close();
    assert.ok(times.sort((a, b) => a - b)[2]! < 50, `${times}`);
  });

  it('answers again after its agent was killed', async () => {
    process.kill(cluster.pid('agent'), 'SIGKILL');
    await cluster.restart('agent');
    await eventually(
      'an answer',
      async () => (await resolver.resolve4('kubernetes.default.svc.cluster.local'))[0],
    );
    assert.match(await inPod('nslookup', 'www.example'), /Address: 192\.0\.2\.80$/m);
  });
});

describe('cluster DNS of several nodes', function () {
  this.timeout(120_000);
  let cluster: TestCluster;

  before(async () => {
    cluster = await startTestCluster('--nodes', '2');
  });
  after(() => cluster?.down());

  it('answers on each of them about all of them', async () => {
    const { kubectl } = cluster;
    const nodes = (await kubectl('get', 'nodes', '-o', 'name')).trim().split('\n');
    assert.equal(nodes.length, 2);
    const items = [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ns' } },
      service('db', { clusterIP: 'None', selector: labels, ports }),
      ...nodes.map((node, i) => pod(`db-${i}`, { nodeName: node.replace('node/', '') })),
    ];
    const { code, stderr } = await kubectl.try(['apply', '-f', '-'], {
      stdin: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
    });
    assert.equal(code, 0, stderr);
    await kubectl('wait', '-n', 'ns', '--for=condition=Ready', 'pod', '--all', '--timeout=60s');
    for (const from of ['db-0', 'db-1'])
      for (const to of ['db-0.db', 'db-1.db'])
        await eventually(`${from} reaches ${to}`, async () =>
          kubectl('exec', '-n', 'ns', from, '--', 'wget', '-q', '-O', '/dev/null', `http://${to}:8080/`).then(
            () => true,
          ),
        );
  });
});
