/** Pure parts of the agent: back-off, resources, users, files of a pod, verdicts of probes, pull policy. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { Container, Pod } from '#types';
import { pullPolicy } from '../../../src/agent/images/image-puller.js';
import { goDuration, goMilliseconds, KeyedBackoff } from '../../../src/agent/pods/backoff.js';
import { healthRequest, healthStatus } from '../../../src/agent/pods/grpc-probe.js';
import { resolvConf } from '../../../src/agent/pods/pod-dns.js';
import { hostsFile, podHostname } from '../../../src/agent/pods/pod-files.js';
import { Verdict } from '../../../src/agent/pods/probes.js';
import {
  containerLimits,
  cpuQuota,
  cpuShares,
  oomScoreAdj,
  podCgroup,
  podLimits,
  qosClass,
} from '../../../src/agent/pods/resources.js';
import { parseGroup, parsePasswd } from '../../../src/agent/pods/user.js';
import { parseResolvConf } from '../../../src/network/dns/resolv-conf.js';

const pod = (spec: object, metadata: object = {}): Pod =>
  ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'ns', uid: 'u', ...metadata },
    spec,
  }) as Pod;
const c = (limits?: object, requests?: object): Container =>
  ({
    name: 'c',
    resources: { ...(limits ? { limits } : {}), ...(requests ? { requests } : {}) },
  }) as Container;

describe('KeyedBackoff', () => {
  it('goes on where a predecessor was', () => {
    const before = new KeyedBackoff(10_000, 300_000);
    before.next('k', 0, 0);
    before.next('k', 10_000, 10_000);
    const after = new KeyedBackoff(10_000, 300_000);
    after.restore('k', before.save('k'));
    assert.equal(after.notBefore('k', 11_000), 31_000);
    for (const nothing of ['', 'x y', before.save('other')]) after.restore('j', nothing);
    assert.equal(after.notBefore('j', 5), 5);
  });

  it('lets the first failure pass, then doubles up to the limit', () => {
    const backoff = new KeyedBackoff(10_000, 300_000);
    const delays: number[] = [];
    let now = 0;
    for (let i = 0; i < 8; i++) {
      const at = backoff.notBefore('k', now);
      delays.push(at - now);
      backoff.next('k', now, at);
      now = at + 1000;
    }
    assert.deepEqual(delays, [0, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
  });

  it('begins anew after a run of more than twice the limit', () => {
    const backoff = new KeyedBackoff(10_000, 300_000);
    backoff.next('k', 0, 0);
    backoff.next('k', 1000, 1000);
    const failed = 1000 + 600_001;
    assert.equal(backoff.notBefore('k', failed), failed);
    backoff.next('k', failed, failed);
    assert.equal(backoff.delay('k'), 10_000);
  });

  for (const [ms, text] of [
    [10_000, '10s'],
    [80_000, '1m20s'],
    [300_000, '5m0s'],
    [3_600_000, '1h0m0s'],
  ] as const)
    it(`prints ${ms} ms as ${text}`, () => assert.equal(goDuration(ms), text));

  for (const [ms, text] of [
    [0.4, '0s'],
    [48.15, '48ms'],
    [1000, '1s'],
    [1592.9, '1.592s'],
    [62_500, '1m2.5s'],
    [3_600_000, '1h0m0s'],
  ] as const)
    it(`prints ${ms} ms, cut to milliseconds, as ${text}`, () => assert.equal(goMilliseconds(ms), text));
});

describe('resources', () => {
  const full = { cpu: '500m', memory: '64Mi' };
  const classes: [string, Container[], string][] = [
    ['nothing said', [c()], 'BestEffort'],
    ['limits only', [c(full)], 'Guaranteed'],
    ['requests as limits', [c(full, { cpu: '0.5', memory: '64Mi' })], 'Guaranteed'],
    ['less requested', [c(full, { cpu: '100m' })], 'Burstable'],
    ['only one of two', [c(full), c()], 'Burstable'],
    ['only cpu', [c({ cpu: '1' })], 'Burstable'],
  ];
  for (const [what, containers, expected] of classes)
    it(`QoS: ${what} is ${expected}`, () => assert.equal(qosClass(pod({ containers })), expected));

  for (const [milli, shares] of [
    [0, 2],
    [1, 2],
    [100, 102],
    [1000, 1024],
    [1_000_000, 262_144],
  ] as const)
    it(`${milli}m are ${shares} shares`, () => assert.equal(cpuShares(milli), shares));

  for (const [milli, quota] of [
    [0, undefined],
    [5, 1000],
    [250, 25_000],
    [2000, 200_000],
  ] as const)
    it(`${milli}m are a quota of ${quota}`, () => assert.equal(cpuQuota(milli), quota));

  it('limits a container by its limits, and weighs it by its request', () => {
    assert.deepEqual(containerLimits(c(full, { cpu: '100m' })), {
      ...{ cpuShares: 102, cpuQuota: 50_000, memory: 64 << 20, hugePages: {} },
    });
    assert.deepEqual(containerLimits(c()), { cpuShares: 2, hugePages: {} });
  });

  it('limits a pod only where all containers are', () => {
    assert.deepEqual(podLimits(pod({ containers: [c(full), c(full)] })), {
      ...{ cpuShares: 1024, cpuQuota: 100_000, memory: 128 << 20, hugePages: {} },
    });
    assert.deepEqual(podLimits(pod({ containers: [c(full), c({ cpu: '1' })] })), {
      ...{ cpuShares: 1536, cpuQuota: 150_000, hugePages: {} },
    });
  });

  it('gives huge pages to those that ask for some, and to their pod what they ask for together', () => {
    const huge = c({ ...full, 'hugepages-2Mi': '4Mi', 'hugepages-1Gi': '1Gi' });
    const less = c({ ...full, 'hugepages-2Mi': '2Mi' });
    assert.deepEqual(containerLimits(huge).hugePages, { '2MB': 4 << 20, '1GB': 1 << 30 });
    assert.deepEqual(podLimits(pod({ initContainers: [huge], containers: [less, less] })).hugePages, {
      ...{ '2MB': 4 << 20, '1GB': 1 << 30 },
    });
    assert.deepEqual(podLimits(pod({ containers: [huge, less, c(full)] })).hugePages, {
      ...{ '2MB': 6 << 20, '1GB': 1 << 30 },
    });
  });

  it('counts the greediest step of initialisation, with the sidecars before it', () => {
    const sidecar = { ...c({}, { cpu: '100m' }), restartPolicy: 'Always' };
    const spec = { initContainers: [sidecar, c({}, { cpu: '900m' })], containers: [c({}, { cpu: '500m' })] };
    assert.equal(podLimits(pod(spec)).cpuShares, 1024);
  });

  it('places pods by QoS', () => {
    assert.deepEqual(
      [[c()], [c(full)], [c(full, { cpu: '1m' })]].map((containers) => podCgroup(pod({ containers }))),
      ['besteffort/podu', 'podu', 'burstable/podu'],
    );
  });

  const scores: [string, Container, object, number][] = [
    ['guaranteed', c(full), {}, -997],
    ['best effort', c(), {}, 1000],
    ['burstable by its share of memory', c({}, { memory: '250Mi' }), {}, 750],
    ['burstable with little', c({}, { cpu: '1m' }), {}, 999],
    ['burstable with everything', c({}, { memory: '1000Mi' }), {}, 3],
    ['critical', c(), { priority: 2_000_000_000 }, -997],
  ];
  for (const [what, container, spec, score] of scores)
    it(`OOM score: ${what}`, () =>
      assert.equal(oomScoreAdj(pod({ containers: [container], ...spec }), container, 1000 << 20), score));
});

describe('passwd and group', () => {
  it('takes well-formed lines', () => {
    assert.deepEqual(parsePasswd('root:x:0:0:root:/root:/bin/sh\nbad\nweb:x:101:102::/srv:\n'), [
      { name: 'root', uid: 0, gid: 0, home: '/root' },
      { name: 'web', uid: 101, gid: 102, home: '/srv' },
    ]);
    assert.deepEqual(parseGroup('wheel:x:10:root,web\nnone\n'), [
      { name: 'wheel', gid: 10, members: ['root', 'web'] },
    ]);
  });
});

describe('files of a pod', () => {
  it('writes the hosts file of upstream', () => {
    const spec = { hostname: 'h', subdomain: 's', hostAliases: [{ ip: '1.2.3.4', hostnames: ['a', 'b'] }] };
    assert.equal(
      hostsFile(pod(spec), ['10.244.0.5', 'fd00::5'], 'cluster.local', ''),
      [
        '# Kubernetes-managed hosts file.',
        '127.0.0.1\tlocalhost',
        '::1\tlocalhost ip6-localhost ip6-loopback',
        'fe00::0\tip6-localnet',
        'fe00::0\tip6-mcastprefix',
        'fe00::1\tip6-allnodes',
        'fe00::2\tip6-allrouters',
        '10.244.0.5\th.s.ns.svc.cluster.local\th',
        'fd00::5\th.s.ns.svc.cluster.local\th',
        '',
        '# Entries added by HostAliases.',
        '1.2.3.4\ta\tb',
        '',
      ].join('\n'),
    );
  });

  it('cuts long host names', () => {
    assert.equal(podHostname(pod({}, { name: `${'a'.repeat(62)}-b` })), 'a'.repeat(62));
  });

  const host = parseResolvConf('# c\nnameserver 9.9.9.9\nsearch corp.example\noptions timeout:1\n');
  const dns = { domain: 'cluster.local', server: '10.96.0.10' };
  const searches = 'search ns.svc.cluster.local svc.cluster.local cluster.local corp.example';
  const files: [string, object, typeof dns, string][] = [
    ['ClusterFirst', {}, dns, `${searches}\nnameserver 10.96.0.10\noptions ndots:5\n`],
    [
      'Default',
      { dnsPolicy: 'Default' },
      dns,
      'search corp.example\nnameserver 9.9.9.9\noptions timeout:1\n',
    ],
    [
      'host network',
      { hostNetwork: true },
      dns,
      'search corp.example\nnameserver 9.9.9.9\noptions timeout:1\n',
    ],
    [
      'ClusterFirstWithHostNet',
      { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' },
      dns,
      `${searches}\nnameserver 10.96.0.10\noptions ndots:5\n`,
    ],
    [
      'no DNS in the cluster',
      {},
      { ...dns, server: '' },
      'search corp.example\nnameserver 9.9.9.9\noptions timeout:1\n',
    ],
    [
      'None with dnsConfig',
      {
        dnsPolicy: 'None',
        dnsConfig: {
          nameservers: ['1.1.1.1'],
          searches: ['x'],
          options: [{ name: 'ndots', value: '2' }, { name: 'debug' }],
        },
      },
      dns,
      'search x\nnameserver 1.1.1.1\noptions ndots:2 debug\n',
    ],
  ];
  it('resolv.conf: no more than resolvers take, with a warning', () => {
    const nameservers = ['1.1.1.1', '2.2.2.2', '3.3.3.3', '4.4.4.4'];
    const searches = Array.from({ length: 40 }, (_, i) => `${i}.example`);
    const many = pod({ dnsPolicy: 'None', dnsConfig: { nameservers, searches } });
    const { text, warnings } = resolvConf(many, dns, host);
    const search = searches.slice(0, 32).join(' ');
    assert.equal(text, `search ${search}\nnameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\n`);
    assert.deepEqual(
      warnings.map(({ reason, message }) => `${reason}: ${message}`),
      [
        'DNSConfigForming: Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 1.1.1.1 2.2.2.2 3.3.3.3',
        `DNSConfigForming: Search Line limits were exceeded, some search paths have been omitted, the applied search line is: ${search}`,
      ],
    );
    const long = Array.from({ length: 20 }, (_, i) => `${'x'.repeat(200)}${i}`);
    const config = { ...many.spec, dnsConfig: { searches: long } };
    assert.equal(resolvConf(pod(config), dns, host).text, `search ${long.slice(0, 10).join(' ')}\n`);
  });

  for (const [what, spec, facts, expected] of files)
    it(`resolv.conf: ${what}`, () => assert.equal(resolvConf(pod(spec), facts, host).text, expected));
});

describe('Verdict', () => {
  const cases: [
    string,
    { successThreshold?: number; failureThreshold?: number },
    boolean[],
    (boolean | undefined)[],
  ][] = [
    ['success counts at once', {}, [true], [true]],
    ['three failures in a row', {}, [false, false, false], [undefined, undefined, false]],
    [
      'a success starts the count anew',
      {},
      [false, false, true, false],
      [undefined, undefined, true, undefined],
    ],
    [
      'own thresholds',
      { successThreshold: 2, failureThreshold: 1 },
      [true, true, false],
      [undefined, true, false],
    ],
  ];
  for (const [what, probe, results, expected] of cases)
    it(what, () => {
      const verdict = new Verdict(probe);
      assert.deepEqual(
        results.map((ok) => verdict.add(ok)),
        expected,
      );
    });
});

describe('images', () => {
  for (const [image, policy] of [
    ['busybox', 'Always'],
    ['busybox:latest', 'Always'],
    ['busybox:1.36', 'IfNotPresent'],
    ['host:5000/busybox', 'Always'],
    ['host:5000/busybox:1', 'IfNotPresent'],
    ['busybox@sha256:abc', 'IfNotPresent'],
  ] as const)
    it(`${image} is pulled ${policy}`, () => assert.equal(pullPolicy({ name: 'c', image }), policy));
});

describe('gRPC health messages', () => {
  it('writes the name of the service, and reads the status', () => {
    assert.deepEqual(healthRequest(''), Buffer.alloc(0));
    assert.deepEqual(healthRequest('ab'), Buffer.from([0x0a, 2, 0x61, 0x62]));
    assert.deepEqual([...healthRequest('x'.repeat(200)).subarray(0, 3)], [0x0a, 0xc8, 0x01]);
    assert.deepEqual(
      [Buffer.from([8, 1]), Buffer.from([8, 2]), Buffer.alloc(0)].map(healthStatus),
      [1, 2, 0],
    );
  });
});
