import assert from 'node:assert/strict';
import { type AddressInfo, createServer } from 'node:net';
import { describe, it } from 'mocha';
import type { EndpointSlice, Service } from '#types';
import { FAMILIES } from '../../../src/network/family.js';
import { compile, keepSlots, NOTHING } from '../../../src/network/services/compile.js';
import { type Changes, Claims, encodeElements } from '../../../src/network/services/elements.js';
import { serviceRules } from '../../../src/network/services/layout.js';
import { Numbers } from '../../../src/network/services/numbers.js';
import { ServiceProxy, staleFlows } from '../../../src/network/services/proxy.js';
import type { FlowFilter } from '../../../src/runtime/native.js';

const NODE = { name: 'n1', zone: 'z1' };
type Spec = Partial<Service['spec']>;

function service(spec: Spec = {}, status: Service['status'] = {}): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'default', uid: 'u' },
    spec: { type: 'ClusterIP', clusterIP: '10.96.0.10', ports: [{ port: 80, protocol: 'TCP' }], ...spec },
    status,
  } as Service;
}

type Short = [address: string, node?: string, conditions?: object, hints?: object];

function slice(endpoints: Short[], port: object = { port: 8080 }): EndpointSlice {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'web-1', namespace: 'default', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ name: '', protocol: 'TCP', ...port }],
    endpoints: endpoints.map(([address, nodeName = 'n1', conditions = {}, hints]) => ({
      ...{ addresses: [address], nodeName, conditions, hints },
      targetRef: { kind: 'Pod', uid: address },
    })),
  } as unknown as EndpointSlice;
}

/** Elements as `map key : data`, with targets' numbers counted from 1. */
function elements(spec: Spec, endpoints: Short[], more: { port?: object; status?: Service['status'] } = {}) {
  const numbers = new Map<string, number>();
  const numberOf = (name: string) => {
    if (!numbers.has(name)) numbers.set(name, numbers.size + 1);
    return numbers.get(name)!;
  };
  const compiled = compile(service(spec, more.status), [slice(endpoints, more.port)], NODE, numberOf);
  return [...compiled.elements].map(([name, data]) => (data ? `${name} : ${data}` : name));
}

const A = '10.244.1.2';
const B = '10.244.2.2';
const ENDING = { ready: false, serving: true, terminating: true };
const UNREADY = { ready: false, serving: false, terminating: false };

describe('elements of a Service', () => {
  it('has none when it is headless, or a name of something else', () => {
    assert.deepEqual(elements({ clusterIP: 'None' }, [[A]]), []);
    assert.deepEqual(elements({ type: 'ExternalName', clusterIP: '' }, [[A]]), []);
  });

  it('leads its address to the ready endpoints', () => {
    assert.deepEqual(elements({}, [[A], [B, 'n2'], ['10.244.1.9', 'n1', UNREADY]]), [
      'cluster-ips 10.96.0.10',
      'endpoints 1 . 0 : 10.244.1.2 . 8080',
      'endpoints 1 . 1 : 10.244.2.2 . 8080',
      'hairpin 10.244.1.2 . 10.244.1.2',
      'services 10.96.0.10 . tcp . 80 : goto services-2',
      'services-ids 10.96.0.10 . tcp . 80 : 1',
    ]);
  });

  it('leads to those that end only when no other is ready', () => {
    const leads = (endpoints: Short[]) =>
      elements({}, endpoints)
        .filter((e) => e.startsWith('endpoints') || e.startsWith('services '))
        .join('; ');
    assert.match(leads([[A, 'n1', ENDING], [B]]), /^endpoints 1 \. 0 : 10\.244\.2\.2 \. 8080; .*services-1$/);
    assert.match(leads([[A, 'n1', ENDING]]), /^endpoints 1 \. 0 : 10\.244\.1\.2 \. 8080; .*services-1$/);
    assert.equal(leads([[A, 'n1', UNREADY]]), 'services 10.96.0.10 . tcp . 80 : goto service-refuse');
  });

  it('gives each port its own endpoints, by name and protocol', () => {
    const ports = [
      { name: 'a', port: 80, protocol: 'TCP' },
      { name: 'b', port: 81, protocol: 'UDP' },
    ];
    const found = elements({ ports }, [[A]], { port: { name: 'b', protocol: 'UDP', port: 53 } });
    assert.ok(found.includes('services 10.96.0.10 . tcp . 80 : goto service-refuse'));
    assert.ok(found.includes('services 10.96.0.10 . udp . 81 : goto services-1'));
    assert.ok(found.includes('endpoints 1 . 0 : 10.244.1.2 . 53'));
  });

  it('opens node ports, and hides clients behind the node', () => {
    const ports = [{ port: 80, protocol: 'TCP', nodePort: 30080 }];
    const found = elements({ type: 'NodePort', ports }, [[A], [B, 'n2']]);
    assert.ok(found.includes('nodeports tcp . 30080 : goto nodeports-2'));
    assert.ok(found.includes('nodeports-ids tcp . 30080 : 1'));
    assert.ok(found.includes('masqueraded-ports tcp . 30080'));
    assert.ok(!found.some((e) => e.startsWith('nodeports-outside')));
  });

  it('keeps traffic from outside on the node with externalTrafficPolicy Local, and its clients visible', () => {
    const spec: Spec = {
      type: 'NodePort',
      externalTrafficPolicy: 'Local',
      externalIPs: ['203.0.113.7'],
      ports: [{ port: 80, protocol: 'TCP', nodePort: 30080 }],
    };
    const found = elements(spec, [[A], [B, 'n2']]);
    for (const one of [
      'services 203.0.113.7 . tcp . 80 : goto services-2',
      'services-outside 203.0.113.7 . tcp . 80 : goto services-outside-1',
      'nodeports tcp . 30080 : goto nodeports-2',
      'nodeports-outside tcp . 30080 : goto nodeports-outside-1',
    ])
      assert.ok(found.includes(one), one);
    assert.ok(!found.some((e) => e.startsWith('masqueraded')));
    const elsewhere = elements(spec, [[B, 'n2']]);
    assert.ok(elsewhere.includes('nodeports-outside tcp . 30080 : drop'));
    assert.ok(elsewhere.includes('nodeports tcp . 30080 : goto nodeports-1'));
  });

  it('drops what internalTrafficPolicy Local finds nobody for, and refuses when there is nobody at all', () => {
    const verdict = (endpoints: Short[]) =>
      elements({ internalTrafficPolicy: 'Local' }, endpoints).find((e) => e.startsWith('services '));
    assert.match(verdict([[A], [B, 'n2']])!, /goto services-1$/);
    assert.match(verdict([[B, 'n2']])!, /drop$/);
    assert.match(verdict([])!, /goto service-refuse$/);
  });

  it('serves the addresses of a load balancer, but not of one that is a proxy', () => {
    const status = {
      loadBalancer: { ingress: [{ ip: '203.0.113.8' }, { ip: '203.0.113.9', ipMode: 'Proxy' }] },
    };
    const found = elements({ type: 'LoadBalancer' }, [[A]], { status });
    assert.ok(found.includes('services 203.0.113.8 . tcp . 80 : goto services-1'));
    assert.ok(found.includes('masqueraded 203.0.113.8 . tcp . 80'));
    assert.ok(!found.some((e) => e.includes('203.0.113.9')));
  });

  it('remembers clients with session affinity', () => {
    const found = elements(
      { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } },
      [[A], [B]],
    );
    assert.ok(found.includes('services 10.96.0.10 . tcp . 80 : goto services-2-sticky-60'));
    assert.ok(found.includes('sticky-members 1 . 1 : 3'));
    assert.ok(found.includes('sticky-endpoints 3 : 10.244.2.2 . 8080'));
  });

  it('prefers endpoints that are meant for its zone or node', () => {
    const zone = (name: string) => ({ forZones: [{ name }] });
    const reached = (endpoints: Short[]) =>
      elements({}, endpoints)
        .filter((e) => e.startsWith('endpoints'))
        .map((e) => e.split(' : ')[1]);
    assert.deepEqual(
      reached([
        [A, 'n2', {}, zone('z1')],
        [B, 'n3', {}, zone('z2')],
      ]),
      [`${A} . 8080`],
    );
    assert.equal(
      reached([
        [A, 'n2', {}, zone('z1')],
        [B, 'n3'],
      ]).length,
      2,
      'one without hints',
    );
    assert.equal(
      reached([
        [A, 'n2', {}, zone('z3')],
        [B, 'n3', {}, zone('z2')],
      ]).length,
      2,
      'none for here',
    );
    const node = (name: string) => ({ forNodes: [{ name }], ...zone('z1') });
    assert.deepEqual(
      reached([
        [A, 'n2', {}, node('n2')],
        [B, 'n1', {}, node('n1')],
      ]),
      [`${B} . 8080`],
    );
  });
});

describe('indexes of endpoints', () => {
  for (const [previous, wanted, result] of [
    ['', 'abc', 'abc'],
    ['abc', 'abcd', 'abcd'],
    ['abcd', 'acd', 'adc'],
    ['abcd', 'abc', 'abc'],
    ['abcd', 'abxd', 'abxd'],
    ['abcd', 'c', 'c'],
    ['abc', '', ''],
    ['ab', 'xy', 'xy'],
  ] as const)
    it(`${previous || 'none'} → ${wanted || 'none'}: ${result || 'none'}`, () =>
      assert.equal(keepSlots([...previous], [...wanted]).join(''), result));
});

describe('claims', () => {
  const changes = (): Changes => ({ deleted: new Map(), added: new Map() });
  const claim = (claims: Claims, owner: string, given: Record<string, string>) => {
    const made = changes();
    claims.set(owner, new Map(Object.entries(given)), made);
    return [[...made.deleted.keys()].join(), [...made.added].map((e) => e.join('=')).join()];
  };

  it('touches only what changes', () => {
    const claims = new Claims();
    assert.deepEqual(claim(claims, 's', { a: '1', b: '2' }), ['', 'a=1,b=2']);
    assert.deepEqual(claim(claims, 's', { a: '1', b: '3', c: '4' }), ['b', 'b=3,c=4']);
    assert.deepEqual(claim(claims, 's', {}), ['a,b,c', '']);
  });

  it('lets the first of two owners win, and the second when it is gone', () => {
    const claims = new Claims();
    claim(claims, 's', { a: '1' });
    assert.deepEqual(claim(claims, 't', { a: '2' }), ['', '']);
    assert.deepEqual(claim(claims, 's', {}), ['a', 'a=2']);
    assert.deepEqual([...claims.all()], [['a', '2']]);
  });

  it('says of a transaction only what it comes to', () => {
    const claims = new Claims();
    const made = changes();
    for (const data of ['1', '2']) claims.set('s', new Map([['a', data]]), made);
    assert.deepEqual([[...made.deleted], [...made.added]], [[], [['a', '2']]]);
    claims.set('s', new Map(), made);
    assert.deepEqual([[...made.deleted], [...made.added]], [[], []]);
  });

  it('encodes fields as the kernel keeps them', () => {
    const encoded = encodeElements(
      new Map([['services 10.96.0.10 . udp . 53', 'drop']]),
      true,
      FAMILIES.IPv4,
    );
    const [element] = encoded.get('services')!;
    assert.equal(element!.key.toString('hex'), '0a60000a1100000000350000');
    assert.equal(
      encodeElements(new Map([['endpoints 17 . 2', '10.244.0.5 . 8080']]), false, FAMILIES.IPv4).get(
        'endpoints',
      )![0]!.data,
      undefined,
    );
    const ipv6 = encodeElements(new Map([['hairpin fd00::5 . fd00::5', '']]), true, FAMILIES.IPv6);
    const address = 'fd000000000000000000000000000005';
    assert.equal(ipv6.get('hairpin')![0]!.key.toString('hex'), address + address);
  });
});

describe('numbers of names', () => {
  it('are the same each time, and never given twice', () => {
    const [one, two] = [new Numbers(), new Numbers()];
    assert.equal(one.of('a'), two.of('a'));
    const all = new Set(Array.from({ length: 1000 }, (_, i) => one.of(String(i))));
    assert.equal(all.size, 1000);
  });
});

describe('UDP flows to forget', () => {
  const compiled = (endpoints: Short[], ports = [{ port: 53, protocol: 'UDP', nodePort: 30053 }]) =>
    compile(
      service({ type: 'NodePort', ports }),
      [slice(endpoints, { protocol: 'UDP', port: 5353 })],
      NODE,
      new Numbers().of,
    );
  it('are those of an endpoint that is gone', () => {
    assert.deepEqual(staleFlows(compiled([[A], [B]]), compiled([[A]])), [
      { protocol: 17, reply: B, replyPort: 5353 },
    ]);
    assert.deepEqual(staleFlows(compiled([[A]]), compiled([[A], [B]])), []);
  });
  it('are those that went past what is served now', () => {
    assert.deepEqual(staleFlows(NOTHING, compiled([[A]])), [
      { protocol: 17, original: '10.96.0.10', originalPort: 53 },
      { protocol: 17, originalPort: 30053 },
    ]);
  });
});

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const probe = createServer().listen(0, () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });

describe('the service proxy', () => {
  class Kernel {
    readonly batches: Buffer[] = [];
    readonly forgotten: FlowFilter[] = [];
    fails = 0;
    async netfilter(batch: Uint8Array) {
      if (this.fails-- > 0) throw new Error('ENOENT');
      this.batches.push(Buffer.from(batch));
    }
    async deleteFlows(filters: FlowFilter[]) {
      this.forgotten.push(...filters);
      return filters.length;
    }
  }
  const start = () => {
    const kernel = new Kernel();
    const restored: number[] = [];
    const proxy = new ServiceProxy({
      ...{ cluster: 'c', family: FAMILIES.IPv4, kernel },
      restore: async () => {
        restored.push(kernel.batches.length);
      },
    });
    proxy.setNode(NODE);
    return { kernel, proxy, restored };
  };
  const has = (batch: Buffer | undefined, address: string) =>
    batch!.includes(Buffer.from(address.split('.').map(Number)));

  it('waits until all is told, then changes only what changed', async () => {
    const { kernel, proxy } = start();
    proxy.serviceChanged('default/web', service());
    proxy.sliceChanged('default/web-1', slice([[A]]));
    await proxy.settled();
    assert.equal(kernel.batches.length, 0);
    proxy.start();
    await proxy.settled();
    assert.equal(kernel.batches.length, 1);
    proxy.sliceChanged('default/web-1', slice([[A], [B, 'n2']]));
    proxy.serviceChanged('default/web', service());
    await proxy.settled();
    assert.equal(kernel.batches.length, 2, 'what comes together is one transaction');
    assert.ok(has(kernel.batches[1], B) && !has(kernel.batches[1], A));
    proxy.sliceChanged('default/web-1', slice([[A], [B, 'n2']]));
    await proxy.settled();
    assert.equal(kernel.batches.length, 2, 'nothing changed');
    await proxy.close();
  });

  it('brings everything again after a failure', async () => {
    const { kernel, proxy, restored } = start();
    proxy.serviceChanged('default/web', service());
    proxy.start();
    await proxy.settled();
    kernel.fails = 1;
    proxy.sliceChanged('default/web-1', slice([[A]]));
    await proxy.settled();
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await proxy.settled();
    assert.deepEqual(restored, [1]);
    assert.ok(has(kernel.batches[1], A) && has(kernel.batches[1], '10.96.0.10'));
    await proxy.close();
  });

  it('tells when a pod gets no new connections any more', async () => {
    const { proxy } = start();
    proxy.start();
    proxy.serviceChanged('default/web', service());
    proxy.sliceChanged('default/web-1', slice([[A], [B]]));
    await proxy.settled();
    let done = false;
    const withdrawn = proxy.withdrawn(A).then(() => {
      done = true;
    });
    proxy.sliceChanged('default/web-1', slice([[A]]));
    await proxy.settled();
    assert.equal(done, false, 'the other one went');
    proxy.sliceChanged('default/web-1', slice([[A, 'n1', ENDING]]));
    await withdrawn;
    await proxy.withdrawn('no endpoint');
    await proxy.close();
  });

  it('answers load balancers that ask whether there is an endpoint here', async () => {
    const { proxy } = start();
    proxy.start();
    const healthCheckNodePort = await freePort();
    proxy.serviceChanged(
      'default/web',
      service({ type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort }),
    );
    const asked = async () => {
      const response = await fetch(`http://127.0.0.1:${healthCheckNodePort}/healthz`);
      return [response.status, ((await response.json()) as { localEndpoints: number }).localEndpoints];
    };
    for (const [endpoints, answer] of [
      [[[B, 'n2']], [503, 0]],
      [
        [[A], [B, 'n2']],
        [200, 1],
      ],
      [[[A, 'n1', ENDING]], [503, 0]],
    ] as [Short[], number[]][]) {
      proxy.sliceChanged('default/web-1', slice(endpoints));
      await proxy.settled();
      assert.deepEqual(await asked(), answer);
    }
    proxy.serviceChanged('default/web', undefined);
    await proxy.settled();
    await assert.rejects(asked());
    await proxy.close();
  });

  it('leaves Services alone that another proxy serves', async () => {
    const { kernel, proxy } = start();
    proxy.start();
    await proxy.settled();
    const other = service();
    other.metadata.labels = { 'service.kubernetes.io/service-proxy-name': 'other' };
    proxy.serviceChanged('default/web', other);
    await proxy.settled();
    assert.equal(kernel.batches.length, 1);
    await proxy.close();
  });
});

describe('the fixed rules', () => {
  it('are written for one table, and can be applied twice', () => {
    const rules = serviceRules(FAMILIES.IPv4, 'inet keelson-c', '10.244.0.0/16', 'kl-c');
    for (const line of rules.trim().split('\n'))
      assert.match(line, /^(add|flush) (table|chain|rule|map|set) inet keelson-c/, line);
    assert.match(
      rules,
      /^add map inet keelson-c services \{ type ipv4_addr \. inet_proto \. inet_service : verdict; \}$/m,
    );
  });
});
