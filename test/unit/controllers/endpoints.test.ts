import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { Endpoint, EndpointSlice, Endpoints, Node, Pod, Service } from '#types';
import { endpointSlices, endpoints, pods, services } from '../../../src/api/resources/index.js';
import { desiredGroups, type Group, groupKey } from '../../../src/controllers/endpoint-slice/desired.js';
import { startEndpointSliceController } from '../../../src/controllers/endpoint-slice/index.js';
import { planSlices } from '../../../src/controllers/endpoint-slice/plan.js';
import { selects, TriggerTimes, targetPort } from '../../../src/controllers/endpoint-slice/service-pods.js';
import { startEndpointSliceMirroring } from '../../../src/controllers/endpoint-slice-mirroring/index.js';
import { mirroredGroups, shouldMirror } from '../../../src/controllers/endpoint-slice-mirroring/mirrored.js';
import { startEndpointsController } from '../../../src/controllers/endpoints/index.js';
import { subsetsOf, truncate } from '../../../src/controllers/endpoints/subsets.js';
import { Harness, podSpec } from './harness.js';

function service(spec: Partial<Service['spec']> = {}, labels?: Record<string, string>): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'default', uid: 'svc', ...(labels ? { labels } : {}) },
    spec: {
      clusterIP: '10.96.0.10',
      selector: { app: 'web' },
      ports: [{ port: 80, targetPort: 8080 }],
      ...spec,
    },
  } as Service;
}

interface Short {
  ip?: string;
  ready?: boolean;
  ending?: boolean;
  node?: string;
  spec?: Partial<Pod['spec']>;
}

function pod(
  name: string,
  { ip = '10.244.0.5', ready = true, ending = false, node = 'n1', spec = {} }: Short = {},
): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...{ name, namespace: 'default', uid: `uid-${name}`, labels: { app: 'web' } },
      ...(ending ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    spec: {
      nodeName: node,
      containers: [{ name: 'c', ports: [{ name: 'http', containerPort: 8080 }] }],
      ...spec,
    },
    status: {
      phase: 'Running',
      podIP: ip,
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  } as Pod;
}

const node = (name: string) =>
  ({ metadata: { name, labels: { 'topology.kubernetes.io/zone': 'z1' } } }) as unknown as Node;
const one = (s: Service, p: Pod): Endpoint => [...desiredGroups(s, [p], node).values()][0]!.endpoints[0]!;

describe('endpoints of pods', () => {
  it('say where, what and how', () => {
    assert.deepEqual(one(service(), pod('a')), {
      addresses: ['10.244.0.5'],
      conditions: { ready: true, serving: true, terminating: false },
      targetRef: { kind: 'Pod', namespace: 'default', name: 'a', uid: 'uid-a' },
      nodeName: 'n1',
      zone: 'z1',
    });
  });

  for (const [what, short, spec, expected] of [
    ['ready', {}, {}, [true, true, false]],
    ['not ready', { ready: false }, {}, [false, false, false]],
    ['ending but serving', { ending: true }, {}, [false, true, true]],
    ['ending and not serving', { ending: true, ready: false }, {}, [false, false, true]],
    ['wanted before it is ready', { ready: false }, { publishNotReadyAddresses: true }, [true, false, false]],
    ['wanted until its end', { ending: true }, { publishNotReadyAddresses: true }, [true, true, true]],
  ] as [string, Short, Partial<Service['spec']>, boolean[]][])
    it(`of a pod that is ${what}`, () => {
      const { ready, serving, terminating } = one(service(spec), pod('a', short)).conditions!;
      assert.deepEqual([ready, serving, terminating], expected);
    });

  it('have a host name only in the domain of their Service', () => {
    const hostname = (subdomain: string) =>
      one(service(), pod('a', { spec: { hostname: 'h', subdomain } })).hostname;
    assert.deepEqual([hostname('web'), hostname('other')], ['h', undefined]);
  });

  it('carry hints as the traffic distribution says', () => {
    const hints = (trafficDistribution: string) => one(service({ trafficDistribution }), pod('a')).hints;
    assert.deepEqual(hints('PreferSameZone'), { forZones: [{ name: 'z1' }] });
    assert.deepEqual(hints('PreferSameNode'), { forZones: [{ name: 'z1' }], forNodes: [{ name: 'n1' }] });
  });

  it('are grouped by the numbers of their ports', () => {
    const other = { containers: [{ name: 'c', ports: [{ name: 'http', containerPort: 9090 }] }] };
    const named = service({ ports: [{ name: 'p', port: 80, targetPort: 'http' }] });
    const groups = desiredGroups(
      named,
      [pod('a'), pod('b', { ip: '10.244.0.6', spec: other as Pod['spec'] }), pod('c', { ip: '10.244.0.7' })],
      node,
    );
    const shown = [...groups.values()].map(({ ports, endpoints }) => [
      ports.map(({ name, port, protocol }) => `${name}:${port}/${protocol}`).join(),
      endpoints.length,
    ]);
    assert.deepEqual(shown, [
      ['p:8080/TCP', 2],
      ['p:9090/TCP', 1],
    ]);
  });

  it('are not those of a node that is gone', () => {
    const none = [...desiredGroups(service(), [pod('a')], () => undefined).values()];
    assert.deepEqual(none, [{ addressType: 'IPv4', ports: [], endpoints: [] }]);
    assert.equal(
      desiredGroups(service({ publishNotReadyAddresses: true }), [pod('a')], () => undefined).size,
      1,
    );
  });

  it('find ports by name and protocol, also in sidecars', () => {
    const port = (targetPort: number | string, protocol = 'TCP') => ({ port: 80, targetPort, protocol });
    assert.equal(targetPort(pod('a'), port('http')), 8080);
    assert.equal(targetPort(pod('a'), port('http', 'UDP')), undefined);
    assert.equal(targetPort(pod('a'), port(81)), 81);
    const sidecar = { name: 's', ports: [{ name: 'side', containerPort: 1 }] };
    const with_ = (restartPolicy?: string) =>
      pod('a', { spec: { initContainers: [{ ...sidecar, restartPolicy }] } as unknown as Pod['spec'] });
    assert.deepEqual(
      [targetPort(with_('Always'), port('side')), targetPort(with_(), port('side'))],
      [1, undefined],
    );
  });

  it('belong to a selector by all its labels', () => {
    const s = service({ selector: { app: 'web', tier: 'front' } });
    assert.ok(selects(s, { app: 'web', tier: 'front', x: 'y' }));
    assert.ok(!selects(s, { app: 'web' }));
    assert.ok(selects(service({ selector: {} }), undefined));
  });
});

describe('plans for slices', () => {
  const PORTS = [{ name: '', port: 8080, protocol: 'TCP' }];
  const endpoint = (name: string, ready = true): Endpoint => ({ addresses: [name], conditions: { ready } });
  const slice = (name: string, names: string, ports = PORTS) =>
    ({
      metadata: { name },
      addressType: 'IPv4',
      ports,
      endpoints: [...names].map((n) => endpoint(n)),
    }) as unknown as EndpointSlice;
  const group = (names: string, ports = PORTS): [string, Group] => [
    groupKey({ addressType: 'IPv4', ports }),
    {
      addressType: 'IPv4',
      ports,
      endpoints: [...names].map((n) => endpoint(n.toLowerCase(), n === n.toLowerCase())),
    },
  ];
  const text = (list: { endpoints?: Endpoint[] }[]) =>
    list.map(({ endpoints = [] }) => endpoints.map((e) => e.addresses[0]).join('')).join();
  const plan = (desired: [string, Group][], existing: EndpointSlice[], isCurrent = () => true) => {
    const made = planSlices(new Map(desired), existing, 3, isCurrent);
    const names = (list: EndpointSlice[]) => list.map((s) => s.metadata.name).join();
    return `+${text(made.create)} ~${names(made.update)}:${text(made.update)} -${names(made.delete)}`;
  };

  for (const [what, desired, existing, expected] of [
    ['makes new ones, as full as may be', [group('abcde')], [], '+abc,de ~: -'],
    ['leaves alone what is right', [group('ab')], [slice('s', 'ab')], '+ ~: -'],
    ['adds to one that has room', [group('abc')], [slice('s', 'ab')], '+ ~s:abc -'],
    ['takes out what is gone', [group('b')], [slice('s', 'ab')], '+ ~s:b -'],
    ['replaces what has changed', [group('aB')], [slice('s', 'ab')], '+ ~s:ab -'],
    [
      'fills the one that is written anyway',
      [group('bcdef')],
      [slice('s', 'abc'), slice('t', 'de')],
      '+ ~s:bcf -',
    ],
    ['makes another when all are full', [group('abcd')], [slice('s', 'abc')], '+d ~: -'],
    ['deletes what is empty', [group('abc')], [slice('s', 'abc'), slice('t', 'x')], '+ ~: -t'],
    ['keeps one for a Service without pods', [group('')], [slice('s', 'a')], '+ ~s: -'],
    ['keeps no more than one then', [group('')], [slice('s', 'a'), slice('t', 'b')], '+ ~s: -t'],
    ['makes one for a Service without pods', [group('')], [], '+ ~: -'],
    ['takes a slice of other ports rather than a new one', [group('ab')], [slice('s', 'x', [])], '+ ~s:ab -'],
  ] as [string, [string, Group][], EndpointSlice[], string][])
    it(what, () => assert.equal(plan(desired, existing), expected));

  it('writes a slice whose labels are wrong', () => {
    assert.equal(
      plan([group('ab')], [slice('s', 'ab')], () => false),
      '+ ~s:ab -',
    );
  });

  it('makes an empty slice where there is none', () => {
    assert.equal(planSlices(new Map([group('')]), [], 3, () => true).create.length, 1);
  });
});

describe('subsets of Endpoints', () => {
  it('part the ready from the others, in the order of addresses', () => {
    const list = [
      pod('a', { ip: '10.244.0.10' }),
      pod('b', { ip: '10.244.0.9' }),
      pod('c', { ip: '10.244.0.1', ready: false }),
    ];
    const [subset, ...more] = subsetsOf(service(), list);
    assert.equal(more.length, 0);
    assert.deepEqual(
      subset!.addresses!.map(({ ip }) => ip),
      ['10.244.0.9', '10.244.0.10'],
    );
    assert.deepEqual(subset!.notReadyAddresses, [
      {
        ip: '10.244.0.1',
        nodeName: 'n1',
        targetRef: { kind: 'Pod', namespace: 'default', name: 'c', uid: 'uid-c' },
      },
    ]);
    assert.deepEqual(subset!.ports, [{ port: 8080, protocol: 'TCP' }]);
  });

  it('may lack ports only when headless', () => {
    assert.deepEqual(subsetsOf(service({ ports: [] }), [pod('a')]), []);
    const [subset] = subsetsOf(service({ ports: [], clusterIP: 'None' }), [pod('a')]);
    assert.equal(subset!.ports, undefined);
  });

  it('are cut at a thousand addresses, those that are not ready first', () => {
    const address = (ip: number) => ({ ip: String(ip) });
    const ready = Array.from({ length: 999 }, (_, i) => address(i));
    const { subsets, cut } = truncate([{ addresses: ready, notReadyAddresses: [address(1), address(2)] }]);
    assert.ok(cut);
    assert.deepEqual([subsets[0]!.addresses!.length, subsets[0]!.notReadyAddresses!.length], [999, 1]);
    assert.ok(!truncate([{ addresses: ready }]).cut);
  });
});

describe('mirrored Endpoints', () => {
  const made = (metadata: object = {}) => ({ metadata: { name: 'web', ...metadata } }) as Endpoints;
  const bare = service();
  delete (bare.spec as { selector?: unknown }).selector;
  for (const [what, source, owner, expected] of [
    ['with a Service without selector', made(), bare, true],
    ['with a Service with selector', made(), service(), false],
    ['without a Service', made(), undefined, false],
    ['that say no', made({ labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } }), bare, false],
    [
      'that elect a leader',
      made({ annotations: { 'control-plane.alpha.kubernetes.io/leader': 'x' } }),
      bare,
      false,
    ],
  ] as [string, Endpoints, Service | undefined, boolean][])
    it(`${what}: ${expected ? 'yes' : 'no'}`, () => assert.equal(shouldMirror(source, owner), expected));

  it('keep readiness and ports', () => {
    const subsets = [
      {
        addresses: [{ ip: '192.0.2.1' }],
        notReadyAddresses: [{ ip: '192.0.2.2' }],
        ports: [{ port: 80, protocol: 'TCP' }],
      },
    ];
    const [group] = [...mirroredGroups({ ...made(), subsets }).values()];
    assert.deepEqual(group!.ports, [{ name: '', port: 80, protocol: 'TCP' }]);
    assert.deepEqual(
      group!.endpoints.map(({ addresses, conditions }) => [addresses[0], conditions!.ready]),
      [
        ['192.0.2.1', true],
        ['192.0.2.2', false],
      ],
    );
  });
});

describe('trigger times', () => {
  it('are the first of what changed since', () => {
    const times = new TriggerTimes();
    const s = service();
    (s.metadata as { creationTimestamp?: string }).creationTimestamp = '2026-01-01T00:00:00Z';
    const at = (time: string) => {
      const p = pod('a');
      p.status!.conditions![0]!.lastTransitionTime = time;
      return [p];
    };
    assert.equal(times.next('k', s, at('2026-01-01T00:01:00Z')), '2026-01-01T00:00:00Z');
    assert.equal(times.next('k', s, at('2026-01-01T00:01:00Z')), undefined);
    assert.equal(times.next('k', s, at('2026-01-01T00:02:00Z')), '2026-01-01T00:02:00Z');
  });
});

describe('the controllers of endpoints', () => {
  let harness: Harness;
  beforeEach(async () => {
    harness = await Harness.start(
      startEndpointSliceController,
      startEndpointsController,
      startEndpointSliceMirroring,
    );
    await harness.createNode('n1');
  });
  afterEach(() => harness.close());

  async function run(
    name: string,
    ip: string,
    labels: Record<string, string> = { app: 'web' },
  ): Promise<Pod> {
    await harness.client.of(pods).create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default', labels },
      spec: { ...podSpec(), nodeName: 'n1' },
    } as Pod);
    const status = {
      phase: 'Running',
      podIP: ip,
      podIPs: [{ ip }],
      conditions: [{ type: 'Ready', status: 'True' }],
    };
    return harness.client
      .of(pods)
      .patch('default', name, { status }, { type: 'merge', subresource: 'status' });
  }
  const createService = (spec: Partial<Service['spec']> = {}, labels?: Record<string, string>) => {
    const { clusterIP: _, ...rest } = service().spec;
    const made = { ...service({}, labels), spec: { ...rest, ...spec } } as Service;
    delete made.metadata.uid;
    return harness.client.of(services).create(made);
  };
  const slices = async (): Promise<EndpointSlice[]> =>
    (await harness.list(endpointSlices)).filter(({ metadata }) => metadata.name !== 'kubernetes');
  const addresses = async () =>
    (await slices())
      .flatMap(({ endpoints: list }) => list ?? [])
      .map(({ addresses: [address], conditions }) => `${address}${conditions?.ready ? '' : '!'}`)
      .sort()
      .join();

  it('make one slice and one Endpoints object, and follow the pods', async () => {
    const owner = await createService({}, { team: 'blue' });
    await harness.until('an empty slice', async () => (await slices()).length === 1);
    await run('a', '10.244.0.5');
    await run('b', '10.244.0.6');
    await run('other', '10.244.0.7', { app: 'other' });
    await harness.until('both', async () => (await addresses()) === '10.244.0.5,10.244.0.6');
    const [slice, ...more] = await slices();
    assert.equal(more.length, 0);
    assert.match(slice!.metadata.name, /^web-[a-z0-9]{5}$/);
    assert.deepEqual(slice!.metadata.labels, {
      team: 'blue',
      'kubernetes.io/service-name': 'web',
      'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
    });
    const ownerReference = { apiVersion: 'v1', kind: 'Service', name: 'web', uid: owner.metadata.uid };
    assert.deepEqual(slice!.metadata.ownerReferences, [
      { ...ownerReference, controller: true, blockOwnerDeletion: true },
    ]);
    assert.deepEqual(slice!.ports, [{ name: '', port: 8080, protocol: 'TCP' }]);
    const listed = await harness.until('Endpoints', async () => {
      const found = await harness.find(endpoints, 'default', 'web');
      return found?.subsets?.[0]?.addresses?.length === 2 ? found : undefined;
    });
    assert.deepEqual(listed.metadata.labels, {
      team: 'blue',
      'endpoints.kubernetes.io/managed-by': 'endpoint-controller',
    });
    await harness.setReady((await harness.find(pods, 'default', 'a'))!, false);
    await harness.until('one not ready', async () => (await addresses()) === '10.244.0.5!,10.244.0.6');
    await harness.client.of(pods).delete('default', 'a', { gracePeriodSeconds: 0 });
    await harness.until('it to go', async () => (await addresses()) === '10.244.0.6');
    await harness.client.of(services).delete('default', 'web');
    await harness.until('no Endpoints', async () => !(await harness.find(endpoints, 'default', 'web')));
  });

  it('mark those of headless Services', async () => {
    await createService({ clusterIP: 'None' });
    const [slice] = await harness.until('a slice', async () => {
      const found = await slices();
      return found.length > 0 && found;
    });
    assert.equal(slice!.metadata.labels!['service.kubernetes.io/headless'], '');
  });

  it('write no more than once for what did not change', async () => {
    await createService();
    await run('a', '10.244.0.5');
    await harness.until('it', async () => (await addresses()) === '10.244.0.5');
    const before = (await slices())[0]!.metadata.resourceVersion;
    const p = (await harness.find(pods, 'default', 'a'))!;
    await harness.client
      .of(pods)
      .patch('default', 'a', { metadata: { annotations: { x: 'y' } } }, { type: 'merge' });
    await harness.client
      .of(services)
      .patch('default', 'web', { metadata: { annotations: { x: 'y' } } }, { type: 'merge' });
    await harness.settle();
    assert.equal((await slices())[0]!.metadata.resourceVersion, before);
    assert.ok(p);
  });

  it('make more slices for more than a hundred pods', async () => {
    await createService();
    for (let i = 0; i < 105; i++) await run(`p${i}`, `10.244.1.${i + 1}`);
    await harness.until('all', async () => (await addresses()).split(',').length === 105);
    const sizes = (await slices()).map(({ endpoints: list }) => list!.length).sort((a, b) => a - b);
    assert.deepEqual(sizes, [5, 100]);
  }).timeout(20_000);

  it('mirror Endpoints that were made by hand, and leave `kubernetes` alone', async () => {
    const kubernetes = await harness.find(endpointSlices, 'default', 'kubernetes');
    await createService({ selector: undefined as never });
    await harness.client.of(endpoints).create({
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata: { name: 'web', namespace: 'default', annotations: { note: 'mine' } },
      subsets: [{ addresses: [{ ip: '192.0.2.1' }], ports: [{ port: 80 }] }],
    } as Endpoints);
    const [slice] = await harness.until('a slice', async () => {
      const found = await slices();
      return found.length > 0 && found;
    });
    assert.equal(
      slice!.metadata.labels!['endpointslice.kubernetes.io/managed-by'],
      'endpointslicemirroring-controller.k8s.io',
    );
    assert.deepEqual(slice!.metadata.annotations, { note: 'mine' });
    const subsets = [{ addresses: [{ ip: '192.0.2.2' }], ports: [{ port: 80 }] }];
    await harness.client.of(endpoints).patch('default', 'web', { subsets }, { type: 'merge' });
    await harness.until('the change', async () => (await addresses()) === '192.0.2.2');
    await harness.client.of(endpoints).delete('default', 'web');
    await harness.until('no slice', async () => (await slices()).length === 0);
    const after = await harness.find(endpointSlices, 'default', 'kubernetes');
    assert.deepEqual(after?.metadata, kubernetes?.metadata);
  });
});
