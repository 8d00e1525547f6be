/** What an agent that speaks the protocol gets from the hub, and what comes of what it sends. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'mocha';
import type { ConfigMap, EndpointSlice, Node, Pod } from '#types';
import { configMaps, endpointSlices, nodes, pods } from '../../../src/api/resources/index.js';
import { configMap, connect, type Harness, pod, type RawAgent, startHub } from './harness.js';

describe('hub sync', () => {
  let harness: Harness;
  const agents: RawAgent[] = [];
  const join = async (...args: Parameters<typeof connect> extends [any, ...infer R] ? R : never) => {
    const agent = await connect(harness, ...args);
    agents.push(agent);
    return agent;
  };

  before(async () => {
    harness = await startHub();
  });
  afterEach(async () => {
    for (const agent of agents.splice(0)) agent.close();
    for (const { metadata } of (await harness.client.of(pods).list()).items)
      await harness.client.of(pods).delete(metadata.namespace!, metadata.name, { gracePeriodSeconds: 0 });
  });
  after(() => harness.close());

  it('lets a node register, and tells it its own Node as it changes', async () => {
    const agent = await join('n1');
    const { code } = await agent.request('POST', '/api/v1/nodes', {
      ...{ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } },
    });
    assert.equal(code, 200);
    await harness.client
      .of<Node>(nodes)
      .patch('', 'n1', { spec: { podCIDR: '10.1.2.0/24' } }, { type: 'merge' });
    await agent.until((a) => a.object<Node>('nodes', 'n1')?.spec?.podCIDR === '10.1.2.0/24');
  });

  it('sends a node its pods and no others', async () => {
    const [one, two] = [await join('n1'), await join('n2')];
    await harness.client.of<Pod>(pods).create(pod('a', 'n1'));
    await harness.client.of<Pod>(pods).create(pod('b', 'n2'));
    await one.until((a) => a.told('pods').includes('default/a'));
    await two.until((a) => a.told('pods').includes('default/b'));
    assert.deepEqual([one.told('pods'), two.told('pods')], [['default/a'], ['default/b']]);
  });

  it('sends what a pod refers to before the pod, follows it, and takes it back with the last pod', async () => {
    const agent = await join('n1');
    const maps = harness.client.of<ConfigMap>(configMaps);
    await maps.create(configMap('used', { key: '1' }));
    await maps.create(configMap('unused'));
    const volumes = [{ name: 'v', configMap: { name: 'used' } }];
    await harness.client.of<Pod>(pods).create(pod('a', 'n1', { volumes }));
    await agent.until((a) => a.told('pods').length > 0);
    const order = agent.changes.map((c) => `${c.resource} ${c.key}`).filter((c) => /configmaps|pods/.test(c));
    assert.deepEqual(order, ['configmaps default/used', 'pods default/a']);
    await maps.patch('default', 'used', { data: { key: '2' } }, { type: 'merge' });
    await agent.until((a) => a.object<ConfigMap>('configmaps', 'default/used')?.data?.['key'] === '2');
    await harness.client.of(pods).delete('default', 'a', { gracePeriodSeconds: 0 });
    await agent.until((a) => a.told('configmaps').includes('-default/used'));
    assert.ok(!agent.told('configmaps').includes('default/unused'));
  });

  it('sends the endpoints of Services to every node', async () => {
    const all = [await join('n1'), await join('n2')];
    const slices = harness.client.of<EndpointSlice>(endpointSlices);
    await slices.create({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'web-1', namespace: 'default' },
      addressType: 'IPv4',
      endpoints: [{ addresses: ['10.1.2.3'] }],
    } as unknown as EndpointSlice);
    for (const agent of all)
      await agent.until((a) => a.object<EndpointSlice>('endpointslices', 'default/web-1') !== undefined);
    await slices.delete('default', 'web-1');
    for (const agent of all) await agent.until((a) => a.told('endpointslices').includes('-default/web-1'));
  });

  it('sends only differences to an agent that comes back', async () => {
    const first = await join('n1');
    for (const name of ['same', 'changed', 'deleted'])
      await harness.client.of<Pod>(pods).create(pod(name, 'n1'));
    await first.until((a) => a.told('pods').length === 3);
    const versions = first.changes
      .filter(({ resource }) => resource === 'pods')
      .map(({ key, uid, revision }) => ({ key, uid, revision }));
    first.close();
    await harness.client
      .of<Pod>(pods)
      .patch('default', 'changed', { metadata: { labels: { a: 'b' } } }, { type: 'merge' });
    await harness.client.of(pods).delete('default', 'deleted', { gracePeriodSeconds: 0 });
    const second = await join('n1', { known: [{ resource: 'pods', versions }] });
    assert.deepEqual(second.told('pods').sort(), ['-default/deleted', 'default/changed']);
  });

  it('writes what a node reports as that node, and tells it errors as Status', async () => {
    const agent = await join('n1');
    await harness.client.of<Pod>(pods).create(pod('a', 'n1'));
    const patch = { status: { phase: 'Running' } };
    const type = 'application/strategic-merge-patch+json';
    const path = '/api/v1/namespaces/default/pods/a';
    assert.equal((await agent.request('PATCH', `${path}/status`, patch, type)).code, 200);
    assert.equal((await harness.client.of<Pod>(pods).get('default', 'a')).status?.phase, 'Running');
    const missing = await agent.request('PATCH', '/api/v1/namespaces/default/pods/none/status', patch, type);
    assert.deepEqual([missing.code, missing.body.reason], [404, 'NotFound']);
    assert.equal((await agent.request('DELETE', path, { gracePeriodSeconds: 0 })).code, 200);
    await agent.until((a) => a.told('pods').at(-1) === '-default/a');
  });

  it('refuses calls that a node has no business with', async () => {
    const agent = await join('n1');
    for (const [method, path] of [
      ['GET', '/api/v1/secrets'],
      ['GET', '/api/v1/namespaces/kube-system/secrets/x'],
      ['PATCH', '/api/v1/nodes/n2/status'],
      ['DELETE', '/api/v1/nodes/n1'],
      ['POST', '/api/v1/namespaces/default/pods/../../x/pods'],
    ] as const) {
      const { code, body } = await agent.request(method, path);
      assert.deepEqual([code, body.reason], [403, 'Forbidden'], `${method} ${path}`);
    }
  });

  it('gives the connection to the newer of two agents of one node', async () => {
    const old = await join('n1');
    const fresh = await join('n1');
    await old.ended;
    await harness.client.of<Pod>(pods).create(pod('a', 'n1'));
    await fresh.until((a) => a.told('pods').length === 1);
    assert.deepEqual(harness.hub.connected, ['n1']);
  });
});
