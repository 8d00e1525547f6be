/** Which nodes are told of Ingresses and their certificates. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'mocha';
import type { Ingress, IngressClass, Node, Secret } from '#types';
import { ingressClasses, ingresses, nodes, secrets } from '../../../src/api/resources/index.js';
import { connect, type Harness, type RawAgent, startHub } from './harness.js';

const SERVES = 'keelson.dev/ingress';

describe('hub sync of Ingresses', () => {
  let harness: Harness;
  const agents: RawAgent[] = [];
  const join = async (name: string, serves: boolean) => {
    const agent = await connect(harness, name);
    agents.push(agent);
    const labels = { [SERVES]: `${serves}` };
    await agent.request('POST', '/api/v1/nodes', {
      ...{ apiVersion: 'v1', kind: 'Node', metadata: { name, labels } },
    });
    await agent.until((a) => a.object('nodes', name) !== undefined);
    return agent;
  };
  const create = async (name: string, spec: Partial<Ingress['spec']>) => {
    const defaultBackend = { service: { name: 'x', port: { number: 80 } } };
    await harness.client.of<Ingress>(ingresses).create({
      ...{ apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', metadata: { name, namespace: 'default' } },
      spec: { defaultBackend, ...spec },
    });
  };

  before(async () => {
    harness = await startHub();
    for (const name of ['used', 'unused'])
      await harness.client.of<Secret>(secrets).create({
        ...{ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: 'default' } },
      });
    await harness.client.of<IngressClass>(ingressClasses).create({
      ...{ apiVersion: 'networking.k8s.io/v1', kind: 'IngressClass', metadata: { name: 'other' } },
      spec: { controller: 'example.com/other' },
    });
  });
  afterEach(() => {
    for (const agent of agents.splice(0)) agent.close();
  });
  after(() => harness.close());

  it('tells those that serve them, certificates first, and only of the own class', async () => {
    const [serving, other] = [await join('n1', true), await join('n2', false)];
    await create('foreign', { ingressClassName: 'other' });
    await create('mine', { tls: [{ hosts: ['a.test'], secretName: 'used' }] });
    await serving.until((a) => a.told('ingresses').length > 0);
    const order = serving.changes
      .map((c) => `${c.resource} ${c.key}`)
      .filter((c) => /^(ingresses|secrets)/.test(c));
    assert.deepEqual(order, ['secrets default/used', 'ingresses default/mine']);
    // Changes are sent in order: what came after them has come, so they are not on their way.
    await harness.client
      .of<Node>(nodes)
      .patch('', 'n2', { metadata: { labels: { x: 'y' } } }, { type: 'merge' });
    await other.until((a) => a.object<Node>('nodes', 'n2')?.metadata.labels?.['x'] === 'y');
    assert.deepEqual([other.told('ingresses'), other.told('secrets')], [[], []]);
  });

  it('follows the class, and takes Ingress and certificate back', async () => {
    const agent = await join('n1', true);
    await agent.until((a) => a.told('ingresses').includes('default/mine'));
    const change = (spec: object) =>
      harness.client.of<Ingress>(ingresses).patch('default', 'mine', { spec }, { type: 'merge' });
    await change({ ingressClassName: 'other' });
    await agent.until((a) => !a.object('ingresses', 'default/mine') && !a.object('secrets', 'default/used'));
    await change({ ingressClassName: 'keelson' });
    await agent.until((a) => a.object('ingresses', 'default/mine') !== undefined);
    assert.ok(agent.object('secrets', 'default/used'));
  });

  it('tells a node that begins to serve, and takes all back when it ends', async () => {
    const agent = await join('n3', false);
    const label = (value: string) =>
      harness.client
        .of<Node>(nodes)
        .patch('', 'n3', { metadata: { labels: { [SERVES]: value } } }, { type: 'merge' });
    await label('true');
    await agent.until((a) => a.object('ingresses', 'default/mine') !== undefined);
    await label('false');
    await agent.until((a) => !a.object('ingresses', 'default/mine') && !a.object('secrets', 'default/used'));
  });
});
