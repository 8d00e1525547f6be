/** Where Ingresses and load balancers are served, as their controllers write it with their own rights. */
import assert from 'node:assert/strict';
import type { Ingress, Service } from '#types';
import { ingresses, nodes, services } from '../../../src/api/resources/index.js';
import type { Controller, ControllersOptions } from '../../../src/controllers/index.js';
import { startIngressStatus } from '../../../src/controllers/ingress-status.js';
import { startLoadBalancerController } from '../../../src/controllers/load-balancer/index.js';
import { Harness } from './harness.js';

describe('controllers of addresses', function () {
  this.timeout(10_000);
  let h: Harness;
  afterEach(() => h.close());

  const node = async (name: string, address: string, ready = true) => {
    const client = h.client.of(nodes);
    const labels = { 'keelson.dev/ingress': 'true' };
    await client.create({ apiVersion: 'v1', kind: 'Node', metadata: { name, labels }, spec: {} });
    await setReady(name, ready, [{ type: 'InternalIP', address }]);
  };
  const setReady = (name: string, ready: boolean, addresses?: object[]) => {
    const conditions = [{ type: 'Ready', status: ready ? 'True' : 'False' }];
    const patch = { status: { conditions, ...(addresses ? { addresses } : {}) } };
    return h.client.of(nodes).patch('', name, patch, { type: 'strategic', subresource: 'status' });
  };
  const service = (name: string, spec: Partial<Service['spec']> = {}) =>
    h.client.of(services).create({
      ...{ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'default' } },
      spec: { type: 'LoadBalancer', selector: { app: name }, ports: [{ port: 80 }], ...spec },
    } as Service);
  const addressesOf = async (name: string) => {
    const { status } = await h.client.of(services).get('default', name);
    return (status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip).join();
  };
  const withPool =
    (loadBalancerPool: string) =>
    (options: ControllersOptions): Controller =>
      startLoadBalancerController({ ...options, loadBalancerPool });

  it('tell the ready nodes that serve Ingresses, of the own class only', async () => {
    h = await Harness.start(startIngressStatus);
    const create = (name: string, ingressClassName: string | undefined) =>
      h.client.of(ingresses).create({
        ...{ apiVersion: 'networking.k8s.io/v1', kind: 'Ingress' },
        metadata: { name, namespace: 'default' },
        spec: { ingressClassName, defaultBackend: { service: { name: 'x', port: { number: 80 } } } },
      } as Ingress);
    const told = async (name: string) => {
      const { status } = await h.client.of(ingresses).get('default', name);
      return (status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip).join();
    };
    await node('n1', '192.0.2.1');
    await create('foreign', 'other');
    assert.equal((await create('mine', undefined)).spec.ingressClassName, 'keelson');
    await h.until('the address', async () => (await told('mine')) === '192.0.2.1');
    await node('n2', '192.0.2.2');
    await h.until('both', async () => (await told('mine')) === '192.0.2.1,192.0.2.2');
    await setReady('n1', false);
    await h.until('the one that is left', async () => (await told('mine')) === '192.0.2.2');
    assert.equal(await told('foreign'), '');
  });

  it("give load balancers the nodes' addresses, and tell why one has none", async () => {
    h = await Harness.start(startLoadBalancerController);
    await node('n1', '192.0.2.1');
    await service('one');
    await h.until('the address', async () => (await addressesOf('one')) === '192.0.2.1');
    await service('two');
    await h.until('the event', async () =>
      (await h.events('Service')).some((text) => text.includes('port 80/TCP of the nodes is taken')),
    );
    await h.client.of(services).patch('default', 'one', { spec: { type: 'ClusterIP' } }, { type: 'merge' });
    await h.until('the release', async () => (await addressesOf('one')) === '');
    await h.until('the successor', async () => (await addressesOf('two')) === '192.0.2.1');
  });

  it('give load balancers addresses of the pool, each on one node', async () => {
    h = await Harness.start(withPool('198.51.100.8/30'));
    await node('n1', '192.0.2.1');
    await service('one');
    await service('two', { loadBalancerIP: '198.51.100.11' });
    await h.until('the first', async () => (await addressesOf('one')) === '198.51.100.8');
    await h.until('what was asked for', async () => (await addressesOf('two')) === '198.51.100.11');
    const holder = async () =>
      (await h.client.of(services).get('default', 'one')).metadata.annotations?.[
        'keelson.dev/load-balancer-node'
      ];
    assert.equal(await holder(), 'n1');
    await node('n2', '192.0.2.2');
    await setReady('n1', false);
    await h.until('another node', async () => (await holder()) === 'n2');
    assert.equal(await addressesOf('one'), '198.51.100.8');
  });
});
