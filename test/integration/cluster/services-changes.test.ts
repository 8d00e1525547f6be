/** Services that change while they are used, and endpoints of every kind: what upstream's conformance tests ask of them. */
import assert from 'node:assert/strict';
import { get } from 'node:http';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import type { Kubectl } from '../../fixtures/tools.js';

const IMAGE = 'keelson.dev/demo:blue';
const AFFINITY = { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 1 } } };

/** `node-1` unless told otherwise. */
const pod = (name: string, spec: object = {}, container: object = {}, labels: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: name, ...labels } },
  spec: {
    nodeName: 'node-1',
    terminationGracePeriodSeconds: 1,
    containers: [{ name: 'c', image: IMAGE, ...container }],
    ...spec,
  },
});

const service = (name: string, spec: object) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { ports: [{ port: 80, targetPort: 8080 }], ...spec },
});

const slice = (service: string, suffix: string, ports: object[], addresses: string[]) => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: `${service}-${suffix}`, labels: { 'kubernetes.io/service-name': service } },
  addressType: 'IPv4',
  ports,
  endpoints: addresses.map((address) => ({ addresses: [address] })),
});

/** The pod that answers a request on a connection of its own. */
function ask(at: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get(`http://${at}/json`, { agent: false, timeout: 1000 }, (response) => {
      let body = '';
      response.on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => resolve(JSON.parse(body).hostname));
      response.on('error', reject);
    });
    request.on('timeout', () => request.destroy(new Error('no answer')));
    request.on('error', reject);
  });
}

async function hostsBehind(at: string, times = 30): Promise<string> {
  const hosts = new Set<string>();
  for (let i = 0; i < times; i++) hosts.add(await ask(at));
  return [...hosts].sort().join();
}

describe('Services that change', function () {
  this.timeout(60_000);
  let cluster: TestCluster;
  let kubectl: Kubectl;
  const apply = async (...objects: object[]) => {
    const list = { apiVersion: 'v1', kind: 'List', items: objects };
    const { code, stderr } = await kubectl.try(['apply', '-f', '-'], { stdin: JSON.stringify(list) });
    assert.equal(code, 0, stderr);
  };
  const patch = (name: string, spec: object) =>
    kubectl('patch', 'service', name, '--type=merge', '-p', JSON.stringify({ spec }));
  const ready = (...names: string[]) =>
    kubectl('wait', '--for=condition=Ready', '--timeout=30s', ...names.map((name) => `pod/${name}`));
  const field = (kind: string, name: string, path: string) =>
    kubectl('get', kind, name, '-o', `jsonpath={${path}}`);
  const ip = (name: string) => field('service', name, '.spec.clusterIP');
  const podIp = (name: string) => field('pod', name, '.status.podIP');
  const leadsTo = (at: string, hosts: string) =>
    eventually(`${at} leads to ${hosts}`, async () => (await hostsBehind(at)) === hosts);
  const lookUp = async (name: string, type: string) =>
    (await kubectl.try(['exec', 'a', '--', 'nslookup', `-type=${type}`, `${name}.default.svc.cluster.local`]))
      .stdout;

  before(async () => {
    cluster = await startTestCluster('--nodes', '2');
    kubectl = cluster.kubectl;
    const pair = { pair: 'yes' };
    await apply(
      pod('a', {}, {}, pair),
      pod('b', { nodeName: 'node-2' }, {}, pair),
      pod('unready', {}, { readinessProbe: { httpGet: { path: '/none', port: 8080 }, periodSeconds: 1 } }),
    );
    await ready('a', 'b');
  });
  after(() => cluster?.down());

  it('turn from a name into an address and a port of nodes, and back', async () => {
    await apply(service('turned', { type: 'ExternalName', externalName: 'a.example', ports: [] }));
    await eventually('the name is an alias', async () =>
      (await lookUp('turned', 'cname')).includes('a.example'),
    );
    await patch('turned', {
      ...{ type: 'ClusterIP', externalName: null, selector: { app: 'a' } },
      ports: [{ port: 80, targetPort: 8080, protocol: 'TCP' }],
    });
    const address = await ip('turned');
    await leadsTo(address, 'a');
    await eventually('the name has the address', async () => (await lookUp('turned', 'a')).includes(address));

    await patch('turned', { type: 'NodePort' });
    const port = await field('service', 'turned', '.spec.ports[0].nodePort');
    const node = await field('node', 'node-2', '.status.addresses[0].address');
    await leadsTo(`${node}:${port}`, 'a');

    await patch('turned', { type: 'ExternalName', externalName: 'b.example' });
    const { spec } = JSON.parse(await kubectl('get', 'service', 'turned', '-o', 'json'));
    assert.deepEqual(
      [spec.clusterIP, spec.clusterIPs, spec.ports[0].nodePort],
      [undefined, undefined, undefined],
    );
    await eventually('the name is an alias again', async () =>
      (await lookUp('turned', 'cname')).includes('b.example'),
    );
    await assert.rejects(ask(`${node}:${port}`));
    await assert.rejects(kubectl('get', 'ipaddress', address), /not found/);
  });

  it('gain and lose affinity, which ends when its time is over', async () => {
    await apply(service('sticky', { selector: { pair: 'yes' }, type: 'NodePort' }));
    const address = await ip('sticky');
    const port = await field('service', 'sticky', '.spec.ports[0].nodePort');
    const node = await field('node', 'node-1', '.status.addresses[0].address');
    await leadsTo(address, 'a,b');
    await patch('sticky', AFFINITY);
    await eventually('one pod answers', async () => !(await hostsBehind(address)).includes(','));
    await eventually(
      'one pod answers at the node',
      async () => !(await hostsBehind(`${node}:${port}`)).includes(','),
    );
    const seen = new Set<string>();
    await eventually('another one answers after a while', async () => {
      await new Promise((resolve) => setTimeout(resolve, 1500));
      seen.add(await ask(address));
      return seen.size === 2;
    });
    await patch('sticky', { sessionAffinity: 'None', sessionAffinityConfig: null });
    await leadsTo(address, 'a,b');
  });

  it('lead to pods that are not ready only where they are published', async () => {
    await apply(
      service('strict', { selector: { app: 'unready' } }),
      service('lenient', { selector: { app: 'unready' }, publishNotReadyAddresses: true }),
    );
    await leadsTo(await ip('lenient'), 'unready');
    await assert.rejects(ask(await ip('strict')), /ECONNREFUSED/);
    await patch('strict', { publishNotReadyAddresses: true });
    await leadsTo(await ip('strict'), 'unready');
  });

  it('prefer endpoints of the same node, or zone, where they are told to', async () => {
    await kubectl('label', 'node', 'node-1', 'topology.kubernetes.io/zone=east');
    await kubectl('label', 'node', 'node-2', 'topology.kubernetes.io/zone=west');
    await apply(service('near', { selector: { pair: 'yes' }, trafficDistribution: 'PreferSameNode' }));
    const address = await ip('near');
    const from = async (name: string) => {
      const got = new Set<string>();
      const script = 'for i in 1 2 3 4 5 6 7 8 9 10; do wget -qO- http://$0/env; done';
      const text = await kubectl('exec', name, '--', 'sh', '-c', script, address);
      for (const [, host] of text.matchAll(/HOSTNAME\W+(\w+)/g)) got.add(host!);
      return [...got].sort().join();
    };
    const each = async () => [await from('a'), await from('b')].join(' ');
    await eventually('each node has its own', async () => (await each()) === 'a b');
    await patch('near', { trafficDistribution: null });
    await eventually('both are used', async () => (await each()) === 'a,b a,b');
    await patch('near', { trafficDistribution: 'PreferSameZone' });
    await eventually('each zone has its own', async () => (await each()) === 'a b');
  });

  it('lead to a pod that ends as long as there is no other', async () => {
    const leaving = { lifecycle: { preStop: { sleep: { seconds: 20 } } } };
    await apply(
      pod('leaving', { terminationGracePeriodSeconds: 30 }, leaving, { role: 'leaving' }),
      service('left', { selector: { role: 'leaving' } }),
    );
    await ready('leaving');
    const address = await ip('left');
    await leadsTo(address, 'leaving');
    await kubectl('delete', 'pod', 'leaving', '--wait=false');
    await eventually('the endpoint tells so', async () => {
      const path = '.items[0].endpoints[0].conditions';
      const argv = ['-l', 'kubernetes.io/service-name=left', '-o', `jsonpath={${path}}`];
      const conditions = JSON.parse(await kubectl('get', 'endpointslices', ...argv));
      return !conditions.ready && conditions.serving && conditions.terminating;
    });
    assert.equal(await hostsBehind(address), 'leaving');
    await apply(pod('coming', {}, {}, { role: 'leaving' }));
    await ready('coming');
    await leadsTo(address, 'coming');
    await kubectl('delete', 'pod', 'leaving', '--now');
  });

  it('have the endpoints and ports of several slices', async () => {
    const [a, b] = [await podIp('a'), await podIp('b')];
    const port = (name: string) => ({ name, port: 8080, protocol: 'TCP' });
    const ports = ['one', 'two'].map((name, i) => ({ name, port: 81 + i, targetPort: 8080 }));
    await apply(
      service('sliced', { ports }),
      slice('sliced', '1', [port('one')], [a]),
      slice('sliced', '2', [port('one'), port('two')], [b]),
    );
    const address = await ip('sliced');
    await leadsTo(`${address}:81`, 'a,b');
    await leadsTo(`${address}:82`, 'b');
  });

  it('are removed as a collection, and tell their status as it is written', async () => {
    for (const name of ['c1', 'c2']) {
      await apply(service(name, {}));
      await kubectl('label', 'service', name, 'together=yes');
    }
    const condition = {
      type: 'Seen',
      status: 'True',
      reason: 'Test',
      message: 'set',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    };
    const written = JSON.stringify({ status: { conditions: [condition] } });
    await kubectl('patch', 'service', 'c1', '--subresource=status', '--type=merge', '-p', written);
    assert.equal(await field('service', 'c1', '.status.conditions[0].message'), 'set');
    await kubectl('delete', 'service', '-l', 'together=yes');
    assert.equal(await kubectl('get', 'service', '-l', 'together=yes', '-o', 'name'), '');
  });

  it('leave host ports to pods that differ in address or protocol', async () => {
    const node = await field('node', 'node-1', '.status.addresses[0].address');
    const free = { nodeName: undefined, nodeSelector: { 'kubernetes.io/hostname': 'node-1' } };
    const claim = (name: string, hostIP: string, protocol: string) =>
      pod(name, free, { ports: [{ containerPort: 8080, hostPort: 4323, protocol, hostIP }] });
    await apply(claim('p1', '127.0.0.1', 'TCP'), claim('p2', node, 'TCP'), claim('p3', node, 'UDP'));
    await ready('p1', 'p2', 'p3');
    assert.equal(await ask(`${node}:4323`), 'p2');
    await apply(claim('p4', '0.0.0.0', 'TCP'));
    const why = await eventually('it is told why it waits', async () =>
      field('pod', 'p4', '.status.conditions[?(@.type=="PodScheduled")].message'),
    );
    assert.match(why, /didn't have free ports for the requested pod ports/);
  });
});
