import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import type { NetworkPolicySpec, Pod } from '#types';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { type Kubectl, run } from '../../fixtures/tools.js';

interface Place {
  namespace: string;
  name: string;
  ip: string;
}

/** `http` and `admin` answer by TCP; nobody is at the UDP port `udp`, which the pod's kernel says if it may. */
const PORTS = { http: 8080, admin: 8081, udp: 9000 };
const SERVE = 'busybox httpd -p 8081 -h /tmp; exec /kuard';

const pod = (namespace: string, name: string, node: string, spec: object = {}): Pod =>
  ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name, labels: { pod: name } },
    spec: {
      nodeName: node,
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: 'c',
          image: 'keelson.dev/demo:blue',
          command: ['sh', '-c', SERVE],
          readinessProbe: { httpGet: { port: 'http', path: '/healthy' }, periodSeconds: 1 },
          ports: Object.entries(PORTS).map(([name, containerPort]) => ({
            ...{ name, containerPort, protocol: name === 'udp' ? 'UDP' : 'TCP' },
          })),
        },
      ],
      ...spec,
    },
  }) as Pod;

const policy = (spec: Partial<NetworkPolicySpec>, name = 'policy', namespace = 'x') => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { namespace, name },
  spec: { podSelector: {}, ...spec },
});

type Way = { from: Place; to: Place; port: keyof typeof PORTS };

/** Which connections a set of policies allows; what is asked of pods that no policy isolates is always allowed. */
interface Case {
  title: string;
  policies: (places: Record<string, Place>) => ReturnType<typeof policy>[];
  allowed: (way: Way) => boolean;
}

const b = { podSelector: { matchLabels: { pod: 'b' } } };
const a = { podSelector: { matchLabels: { pod: 'a' } } };
const y = { namespaceSelector: { matchLabels: { team: 'y' } } };
const tcp = (port: number | string, endPort?: number) => ({ port, ...(endPort ? { endPort } : {}) });
const toX = ({ to }: Way) => to.namespace === 'x';
const fromX = ({ from }: Way) => from.namespace === 'x';

const CASES: Case[] = [
  { title: 'default deny of ingress', policies: () => [policy({})], allowed: (way) => !toX(way) },
  {
    title: 'default deny of egress',
    policies: () => [policy({ policyTypes: ['Egress'] })],
    allowed: (way) => !fromX(way),
  },
  {
    title: 'default deny of both, and an empty rule that allows all the same',
    policies: () => [
      policy({ policyTypes: ['Ingress', 'Egress'] }),
      policy({ ...a, ingress: [{}], egress: [{}] }, 'open'),
    ],
    allowed: ({ from, to }) =>
      (to.namespace !== 'x' || to.name === 'a') && (from.namespace !== 'x' || from.name === 'a'),
  },
  {
    title: 'pods of the same namespace',
    policies: () => [policy({ ingress: [{ from: [b] }] })],
    allowed: (way) => !toX(way) || (fromX(way) && way.from.name === 'b'),
  },
  {
    title: 'pods of another namespace',
    policies: () => [policy({ ingress: [{ from: [y] }] })],
    allowed: (way) => !toX(way) || way.from.namespace === 'y',
  },
  {
    title: 'namespace and pod at once, in one peer',
    policies: () => [policy({ ...a, ingress: [{ from: [{ ...y, ...b }] }] })],
    allowed: (way) =>
      !toX(way) || way.to.name === 'b' || (way.from.namespace === 'y' && way.from.name === 'b'),
  },
  {
    title: 'namespace or pod, in two peers, by expressions',
    policies: () => [
      policy({
        ingress: [
          {
            from: [
              { podSelector: { matchExpressions: [{ key: 'pod', operator: 'NotIn', values: ['a'] }] } },
              { namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'In', values: ['y'] }] } },
            ],
          },
        ],
      }),
    ],
    allowed: (way) => !toX(way) || way.from.namespace === 'y' || way.from.name === 'b',
  },
  {
    title: 'pods of all namespaces',
    policies: () => [policy({ ingress: [{ from: [{ namespaceSelector: {} }] }] })],
    allowed: () => true,
  },
  {
    title: 'one port by number, a range, and another protocol',
    policies: () => [
      policy({ ...a, ingress: [{ ports: [tcp(8080)] }] }),
      policy({ ...b, ingress: [{ ports: [tcp(8081, 9000)] }, { ports: [{ protocol: 'UDP' }] }] }, 'range'),
    ],
    allowed: (way) => !toX(way) || (way.to.name === 'a' ? way.port === 'http' : way.port !== 'http'),
  },
  {
    title: 'a port of the wrong protocol opens nothing',
    policies: () => [
      policy({
        ingress: [{ ports: [{ protocol: 'UDP', port: 8080 }, { protocol: 'SCTP', port: 8081 }, tcp(9000)] }],
      }),
    ],
    allowed: (way) => !toX(way),
  },
  {
    title: 'a named port, of certain peers',
    policies: () => [policy({ ingress: [{ from: [y], ports: [tcp('admin')] }] })],
    allowed: (way) => !toX(way) || (way.from.namespace === 'y' && way.port === 'admin'),
  },
  {
    title: 'egress to a named port of anybody, and to all of certain pods',
    policies: () => [
      policy({ egress: [{ ports: [tcp('http')] }, { to: [{ ...y, ...b }] }], policyTypes: ['Egress'] }),
    ],
    allowed: (way) => !fromX(way) || way.port === 'http' || (way.to.namespace === 'y' && way.to.name === 'b'),
  },
  {
    title: 'egress to a named port of certain pods',
    policies: () => [policy({ egress: [{ to: [y], ports: [tcp('http')] }], policyTypes: ['Egress'] })],
    allowed: (way) => !fromX(way) || (way.to.namespace === 'y' && way.port === 'http'),
  },
  {
    title: 'both sides have to allow it',
    policies: () => [
      policy({ egress: [{ to: [y] }], policyTypes: ['Egress'] }, 'out'),
      policy({ ...a, ingress: [{ from: [{ namespaceSelector: {}, ...b }] }] }, 'in', 'y'),
    ],
    allowed: (way) =>
      (!fromX(way) || way.to.namespace === 'y') &&
      (way.to.namespace !== 'y' || way.to.name !== 'a' || way.from.name === 'b'),
  },
  {
    title: 'a block with an exception, which another policy allows',
    policies: ({ 'y/a': except, 'y/b': open }) => [
      policy({
        ingress: [
          { from: [{ ipBlock: { cidr: '10.0.0.0/8', except: [`${except!.ip}/32`, `${open!.ip}/32`] } }] },
        ],
      }),
      policy({ ingress: [{ from: [{ ipBlock: { cidr: `${open!.ip}/32` } }] }] }, 'more'),
    ],
    allowed: (way) => !toX(way) || way.from.namespace !== 'y' || way.from.name !== 'a',
  },
  {
    title: 'egress to a block',
    policies: ({ 'y/b': block }) => [
      policy({ egress: [{ to: [{ ipBlock: { cidr: `${block!.ip}/32` } }] }], policyTypes: ['Egress'] }),
    ],
    allowed: (way) => !fromX(way) || (way.to.namespace === 'y' && way.to.name === 'b'),
  },
];

describe('NetworkPolicies of two nodes', function () {
  this.timeout(180_000);
  let cluster: TestCluster;
  let kubectl: Kubectl;
  const places: Record<string, Place> = {};
  const nodes = ['node-1', 'node-2'];

  const apply = async (...items: object[]) => {
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
    const { code, stderr } = await kubectl.try(['apply', '-f', '-'], { stdin: list });
    assert.equal(code, 0, stderr);
  };
  const clear = () => kubectl('delete', 'networkpolicies', '--all', '-A', '--wait=false');
  const sh = (at: Place, script: string) =>
    kubectl.try(['exec', '-n', at.namespace, at.name, '--', 'sh', '-c', script]);

  /** Tries every port of every pod from every pod; gives what was answered, as `x/a y/b http`. */
  async function reached(): Promise<string[]> {
    const tries = Object.entries(places).flatMap(([key, { ip }]) =>
      Object.entries(PORTS).map(([name, port]) => {
        const probe =
          name === 'udp'
            ? `timeout 0.7 nslookup -port=${port} x ${ip} 2>&1 | grep -q refused`
            : `timeout 0.7 nc ${ip} ${port} </dev/null >/dev/null`;
        return `{ ${probe} && echo ${key} ${name}; } &`;
      }),
    );
    const script = `${tries.join('\n')}\nwait`;
    const all = Object.entries(places).map(async ([key, from]) => {
      const { stdout } = await sh(from, script);
      return stdout
        .trim()
        .split('\n')
        .filter(Boolean)
        .map((line) => `${key} ${line}`);
    });
    return (await Promise.all(all)).flat().sort();
  }

  const expected = (allowed: Case['allowed']): string[] =>
    Object.entries(places)
      .flatMap(([fromKey, from]) =>
        Object.entries(places).flatMap(([toKey, to]) =>
          (Object.keys(PORTS) as (keyof typeof PORTS)[])
            .filter((port) => from === to || allowed({ from, to, port }))
            .map((port) => `${fromKey} ${toKey} ${port}`),
        ),
      )
      .sort();

  const becomes = (allowed: Case['allowed']) =>
    eventually(
      'the connections that are allowed',
      async () => {
        assert.deepEqual(await reached(), expected(allowed));
        return true;
      },
      8000,
    );

  before(async () => {
    cluster = await startTestCluster('--nodes', '2');
    kubectl = cluster.kubectl;
    const namespaces = ['x', 'y'].map((name) => ({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, labels: { team: name } },
    }));
    const keys = ['x/a', 'x/b', 'y/a', 'y/b'];
    await apply(...namespaces);
    await apply(
      ...keys.map((key, i) => {
        const [namespace = '', name = ''] = key.split('/');
        return pod(namespace, name, nodes[i % 2]!);
      }),
    );
    for (const namespace of ['x', 'y'])
      await kubectl('wait', '-n', namespace, '--for=condition=Ready', 'pods', '--all', '--timeout=30s');
    const { items } = JSON.parse(await kubectl('get', 'pods', '-A', '-o', 'json'));
    for (const { metadata, status } of items)
      places[`${metadata.namespace}/${metadata.name}`] = { ...metadata, ip: status.podIP };
  });
  after(async () => {
    await cluster?.down();
    const { stdout } = await run('nft', ['list', 'tables']);
    assert.ok(!stdout.includes(`${cluster.name}\n`), stdout);
  });

  it('do not exist: all is open', () => becomes(() => true));

  for (const { title, policies, allowed } of CASES)
    it(`allow what they say: ${title}`, async () => {
      await apply(...policies(places));
      try {
        await becomes(allowed);
      } finally {
        await clear();
      }
    });

  it('are over when they are deleted, and leave nothing in the kernel', async () => {
    await becomes(() => true);
    for (const node of nodes) {
      const tables = await run('nsenter', [`--net=${netns(node)}`, 'nft', 'list', 'tables']);
      assert.doesNotMatch(tables.stdout, /policies/);
    }
  });

  const netns = (node: string) => {
    const path = `${cluster.runDir}/nodes/${node}/netns`;
    assert.ok(existsSync(path), path);
    return path;
  };

  it('follow the labels of pods and namespaces', async () => {
    await apply(policy({ ingress: [{ from: [{ ...y, ...b }] }] }));
    await kubectl('label', '-n', 'y', 'pod/a', 'pod=b', '--overwrite');
    await kubectl('label', '-n', 'y', 'pod/b', 'pod=other', '--overwrite');
    await becomes((way) => !toX(way) || (way.from.namespace === 'y' && way.from.name === 'a'));
    await kubectl('label', 'namespace', 'y', 'team=other', '--overwrite');
    await becomes((way) => !toX(way));
    await kubectl('label', 'namespace', 'x', 'team=y', '--overwrite');
    await becomes((way) => !toX(way) || (fromX(way) && way.from.name === 'b'));
    await kubectl('label', '-n', 'x', 'pod/a', 'isolated=no');
    await apply(
      policy({ podSelector: { matchExpressions: [{ key: 'isolated', operator: 'DoesNotExist' }] } }),
    );
    await becomes((way) => !toX(way) || way.to.name === 'a');
    await kubectl('label', '-n', 'x', 'pod/a', 'isolated-');
    await becomes((way) => !toX(way));
    await kubectl('label', 'namespace', 'x', 'team=x', '--overwrite');
    await kubectl('label', 'namespace', 'y', 'team=y', '--overwrite');
    for (const name of ['a', 'b'])
      await kubectl('label', '-n', 'y', `pod/${name}`, `pod=${name}`, '--overwrite');
    await clear();
  });

  it('judge Services by the pods behind them, and let what is open go on', async () => {
    await kubectl('expose', '-n', 'x', 'pod/b', '--port=80', '--target-port=8080', '--name=web');
    const at = await kubectl('get', '-n', 'x', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}');
    const ask = async (from: string) =>
      (await sh(places[from]!, `timeout 1 wget -q -O /dev/null http://${at}/`)).code === 0;
    await eventually('the Service', () => ask('y/a'));
    const open = sh(
      places['y/a']!,
      `{ printf 'GET /healthy HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'; sleep 2; printf 'GET /healthy HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n'; sleep 1; } | nc ${at} 80 | grep -c '200 OK'`,
    );
    await new Promise((resolve) => setTimeout(resolve, 500));
    await apply(policy({ ingress: [{ from: [{ ...y, ...b }], ports: [tcp(8080)] }] }));
    await eventually('the policy', async () => !(await ask('y/a')));
    assert.deepEqual([await ask('x/a'), await ask('y/b')], [false, true]);
    assert.ok(await ask('x/b'), 'a pod reaches itself through its Service');
    assert.equal((await open).stdout.trim(), '2', 'what was open went on');
    await kubectl('delete', '-n', 'x', 'service', 'web');
    await clear();
  });

  it('are in place before the first packet of a new pod, and do not hinder its probes or its DNS', async () => {
    await apply(policy({ policyTypes: ['Ingress', 'Egress'] }));
    const { ip } = places['y/a']!;
    const early = pod('x', 'early', 'node-1');
    const [container] = early.spec.containers;
    container!.command = [
      ...['sh', '-c'],
      `for i in 1 2 3; do timeout 0.3 nc ${ip} 8080 </dev/null && echo out; done; nslookup kubernetes.default.svc.cluster.local >/dev/null && echo resolved; ${SERVE}`,
    ];
    await apply(early);
    await kubectl('wait', '-n', 'x', '--for=condition=Ready', 'pod/early', '--timeout=20s');
    const log = await kubectl('logs', '-n', 'x', 'early');
    assert.match(log, /resolved/);
    assert.doesNotMatch(log, /^out/m);
    await kubectl('delete', '-n', 'x', 'pod/early');
  });

  it('stay while the agent is away, and are as they should be when it is back', async () => {
    // The agent of node-1, where all pods named "a" are.
    process.kill(cluster.pid('agent'), 'SIGKILL');
    const reaches = async (to: string) =>
      (await sh(places['y/b']!, `timeout 0.5 nc ${places[to]!.ip} 8080 </dev/null`)).code === 0;
    assert.deepEqual([await reaches('x/a'), await reaches('y/a')], [false, true]);
    await clear();
    await apply(policy(b));
    assert.deepEqual([await reaches('x/a'), await reaches('y/a')], [false, true]);
    await cluster.restart('agent');
    await becomes((way) => !toX(way) || way.to.name === 'a');
    await clear();
  });
});
