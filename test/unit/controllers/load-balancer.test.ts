/** Which addresses Services of type LoadBalancer get, as tables. */
import assert from 'node:assert/strict';
import type { EndpointSlice, Node, Service } from '#types';
import { type Assignment, planLoadBalancers } from '../../../src/controllers/load-balancer/plan.js';
import { parsePool } from '../../../src/controllers/load-balancer/pool.js';

const NODE_ANNOTATION = 'keelson.dev/load-balancer-node';

function node(name: string, address: string, more: { ready?: boolean; excluded?: boolean } = {}): Node {
  const labels = more.excluded ? { 'node.kubernetes.io/exclude-from-external-load-balancers': '' } : {};
  return {
    metadata: { name, labels },
    status: {
      addresses: [{ type: 'InternalIP', address }],
      conditions: [{ type: 'Ready', status: more.ready === false ? 'False' : 'True' }],
    },
  } as unknown as Node;
}

interface Given {
  ports?: number[];
  spec?: Partial<Service['spec']>;
  has?: string;
  on?: string;
  /** A greater number is older. */
  age?: number;
}

function service(name: string, { ports = [80], spec, has, on, age = 0 }: Given = {}): Service {
  return {
    metadata: {
      name,
      namespace: 'default',
      creationTimestamp: `2026-01-0${9 - age}T00:00:00Z`,
      annotations: on ? { [NODE_ANNOTATION]: on } : {},
    },
    spec: { type: 'LoadBalancer', ports: ports.map((port) => ({ port, protocol: 'TCP' })), ...spec },
    status: { loadBalancer: has ? { ingress: [{ ip: has }] } : {} },
  } as unknown as Service;
}

const two = [node('n1', '192.0.2.1'), node('n2', '192.0.2.2')];

function plan(services: Service[], nodes = two, pool?: string, local: string[] = []) {
  const slice = { endpoints: local.map((nodeName) => ({ addresses: ['x'], nodeName })) };
  const assigned = planLoadBalancers({
    ...{ services, nodes },
    slices: () => [slice as EndpointSlice],
    pool: pool ? parsePool(pool) : undefined,
  });
  return Object.fromEntries([...assigned].map(([key, value]) => [key.split('/')[1], value])) as Record<
    string,
    Assignment
  >;
}

describe("load balancers with the nodes' own addresses", () => {
  it('get those of all nodes that are ready and not excluded', () => {
    const nodes = [
      ...two,
      node('n3', '192.0.2.3', { ready: false }),
      node('n4', '192.0.2.4', { excluded: true }),
    ];
    assert.deepEqual(plan([service('a')], nodes), { a: { addresses: ['192.0.2.1', '192.0.2.2'] } });
    assert.match(plan([service('a')], [])['a']!.problem!, /no node/);
  });

  it('share nodes as long as their ports differ; the older keeps a port', () => {
    const all = plan([
      service('new', { ports: [80] }),
      service('old', { ports: [80, 81], age: 1 }),
      service('other', { ports: [82] }),
    ]);
    assert.equal(all['old']!.addresses.length, 2);
    assert.equal(all['other']!.addresses.length, 2);
    assert.deepEqual(all['new'], {
      addresses: [],
      problem: 'port 80/TCP of the nodes is taken by default/old',
    });
  });

  it('with the policy Local get those of nodes with endpoints', () => {
    const local = service('a', { spec: { externalTrafficPolicy: 'Local' } });
    assert.deepEqual(plan([local], two, undefined, ['n2'])['a']!.addresses, ['192.0.2.2']);
  });

  it('are none of ours with another class or type', () => {
    const others = [
      service('a', { spec: { loadBalancerClass: 'example.com/x' } }),
      service('b', { spec: { type: 'NodePort' } }),
    ];
    assert.deepEqual(plan(others), {});
    assert.equal(
      plan([service('c', { spec: { loadBalancerClass: 'keelson.dev/load-balancer' } })])['c']!.addresses
        .length,
      2,
    );
  });
});

describe('load balancers with a pool', () => {
  const POOL = '198.51.100.4/30';

  it('get an address each, spread over nodes, until there are no more', () => {
    const all = plan(
      ['a', 'b', 'c', 'd', 'e'].map((name) => service(name)),
      two,
      POOL,
    );
    const addresses = Object.values(all).flatMap((one) => one.addresses);
    assert.deepEqual(addresses, ['198.51.100.4', '198.51.100.5', '198.51.100.6', '198.51.100.7']);
    assert.deepEqual([all['a']!.node, all['b']!.node, all['c']!.node], ['n1', 'n2', 'n1']);
    assert.equal(all['e']!.problem, 'all addresses of the pool are in use');
  });

  it('keep what they have, also before older ones without', () => {
    const all = plan([service('a', { age: 1 }), service('b', { has: '198.51.100.4', on: 'n1' })], two, POOL);
    assert.deepEqual(all['b'], { addresses: ['198.51.100.4'], node: 'n1' });
    assert.deepEqual(all['a']!.addresses, ['198.51.100.5']);
  });

  it('move to another node when theirs is gone, with the same address', () => {
    const [moved] = Object.values(plan([service('b', { has: '198.51.100.6', on: 'n1' })], [two[1]!], POOL));
    assert.deepEqual(moved, { addresses: ['198.51.100.6'], node: 'n2' });
  });

  it('get one of each of their IP families, as far as the pool has them', () => {
    const both = { ipFamilies: ['IPv6', 'IPv4'], clusterIP: 'fd00::1' };
    const six = { ipFamilies: ['IPv6'], clusterIP: 'fd00::2' };
    const all = (pool: string) =>
      plan([service('a', { spec: both }), service('b', { spec: six })], two, pool);
    const dual = all(`${POOL},fd00:99::10-fd00:99::11`);
    assert.deepEqual(dual['a'], { addresses: ['fd00:99::10', '198.51.100.4'], node: 'n1' });
    assert.deepEqual(dual['b'], { addresses: ['fd00:99::11'], node: 'n2' });
    const four = all(POOL);
    assert.deepEqual(four['a']!.addresses, ['198.51.100.4']);
    assert.equal(four['b']!.problem, 'the pool has no addresses of the family IPv6');
  });

  it('get the address they ask for, or none', () => {
    const ask = (loadBalancerIP: string) =>
      plan([service('a', { spec: { loadBalancerIP } })], two, POOL)['a']!;
    assert.deepEqual(ask('198.51.100.6').addresses, ['198.51.100.6']);
    assert.equal(ask('192.0.2.9').problem, 'the address 192.0.2.9 is not in the pool');
  });
});

describe('a range of addresses', () => {
  it('is a network or a first and a last', () => {
    const pool = parsePool('192.0.2.250-192.0.2.251');
    assert.equal(pool.firstFree('IPv4', new Set()), '192.0.2.250');
    assert.equal(pool.firstFree('IPv4', new Set(['192.0.2.250'])), '192.0.2.251');
    assert.equal(pool.firstFree('IPv4', new Set(['192.0.2.250', '192.0.2.251'])), undefined);
    assert.ok(parsePool('192.0.2.247/28').has('192.0.2.240'));
    assert.ok(!parsePool('192.0.2.240/28').has('192.0.3.0'));
    assert.ok(parsePool('192.0.2.240/28,fd00:99::/112').has('fd00:99::ffff'));
  });
  for (const text of [
    '',
    '192.0.2.0',
    '192.0.2.0/0',
    '192.0.2.0/33',
    '192.0.2.9-192.0.2.1',
    'a/24',
    '10.0.0.0/8',
    '10.0.0.0/24,10.0.1.0/24',
    '10.0.0.1-fd00::1',
    'fd00::/64',
  ])
    it(`is not "${text}"`, () => assert.throws(() => parsePool(text), /range/));
});
