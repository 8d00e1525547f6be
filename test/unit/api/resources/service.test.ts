import assert from 'node:assert/strict';
import type { Service } from '#types';
import { deepCopy } from '../../../../src/api/machinery/types.js';
import { services } from '../../../../src/api/resources/index.js';
import { created, createErrors, defaulted, object, updateErrors } from './support.js';

const service = (spec: Record<string, unknown>, status = {}): Service =>
  object(services, { spec: { ports: [{ port: 80 }], ...spec }, status });

describe('service defaults', () => {
  it('fills a minimal service', () => {
    const stored = created(services, service({ selector: { a: 'b' } }));
    assert.deepEqual(stored.spec, {
      internalTrafficPolicy: 'Cluster',
      ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
      selector: { a: 'b' },
      sessionAffinity: 'None',
      type: 'ClusterIP',
    });
    assert.deepEqual(stored.status, { loadBalancer: {} });
  });
  it('fills what depends on the type', () => {
    const node = defaulted(services, service({ type: 'NodePort' })).spec;
    assert.equal(node.externalTrafficPolicy, 'Cluster');
    const balancer = defaulted(services, service({ type: 'LoadBalancer' })).spec;
    assert.equal(balancer.allocateLoadBalancerNodePorts, true);
    const name = created(services, service({ type: 'ExternalName', externalName: 'a.b' })).spec;
    assert.equal(name.internalTrafficPolicy, undefined);
    assert.equal(name.ipFamilies, undefined);
    const sticky = defaulted(services, service({ sessionAffinity: 'ClientIP' })).spec;
    assert.deepEqual(sticky.sessionAffinityConfig, { clientIP: { timeoutSeconds: 10800 } });
  });
  it('takes clusterIP as the first of clusterIPs', () => {
    assert.deepEqual(
      created(services, service({ clusterIP: 'None', selector: { a: 'b' } })).spec.clusterIPs,
      ['None'],
    );
  });
});

describe('service validation', () => {
  const cases: [string, Record<string, unknown>, string[]][] = [
    ['no ports', { ports: [] }, ['spec.ports: Required value']],
    ['headless without ports', { ports: [], clusterIP: 'None' }, []],
    [
      'ports',
      {
        ports: [
          { port: 0, name: 'a' },
          { port: 80, name: 'a', protocol: 'X' },
          { port: 80, targetPort: 'A' },
        ],
      },
      [
        'spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive',
        'spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive',
        'spec.ports[1].name: Duplicate value: "a"',
        'spec.ports[1].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"',
        'spec.ports[2].name: Required value',
        'spec.ports[2].targetPort: Invalid value: "A": must contain only alpha-numeric characters',
        'spec.ports[2].targetPort: Invalid value: "A": must contain at least one letter',
      ],
    ],
    [
      'the same port twice',
      {
        ports: [
          { port: 80, name: 'a' },
          { port: 80, name: 'b' },
        ],
      },
      [
        'spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,"NodePort":0}',
      ],
    ],
    [
      'node port of a ClusterIP service',
      { ports: [{ port: 80, nodePort: 30000 }] },
      ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
    ],
    [
      'cluster IP',
      { clusterIP: 'x' },
      ['spec.clusterIPs[0]: Invalid value: "x": must be a valid IP address'],
    ],
    [
      'headless NodePort',
      { type: 'NodePort', clusterIP: 'None' },
      ['spec.clusterIPs[0]: Invalid value: "None": may not be set to \'None\' for NodePort services'],
    ],
    [
      'ExternalName without a name',
      { type: 'ExternalName', ports: [] },
      ['spec.externalName: Required value'],
    ],
    [
      'ExternalName with addresses',
      { type: 'ExternalName', externalName: 'a.b', clusterIPs: ['10.0.0.1'] },
      ['spec.clusterIPs: Forbidden: may not be set for ExternalName services'],
    ],
    [
      'type',
      { type: 'X' },
      [
        'spec.type: Unsupported value: "X": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
      ],
    ],
    [
      'external IP',
      { externalIPs: ['127.0.0.1'] },
      ['spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range'],
    ],
    [
      'affinity',
      { sessionAffinity: 'X' },
      ['spec.sessionAffinity: Unsupported value: "X": supported values: "ClientIP", "None"'],
    ],
    [
      'affinity timeout',
      { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 86401 } } },
      [
        'spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400',
      ],
    ],
    [
      'selector',
      { selector: { 'a b': 'c' } },
      ['spec.selector: Invalid value: "a b": name part must consist'],
    ],
    [
      'external policy of an internal service',
      { externalTrafficPolicy: 'Local' },
      [
        'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services',
      ],
    ],
    [
      'load balancer fields',
      { loadBalancerClass: 'a', loadBalancerSourceRanges: ['x'] },
      [
        "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
        'spec.LoadBalancerSourceRanges[0]: Invalid value: "x": must be a valid CIDR value',
        "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
      ],
    ],
    [
      'traffic distribution',
      { trafficDistribution: 'Near' },
      [
        'spec.trafficDistribution: Unsupported value: "Near": supported values: "PreferClose", "PreferSameNode", "PreferSameZone"',
      ],
    ],
  ];
  for (const [what, spec, expected] of cases)
    it(what, () => {
      const value = service(spec);
      // A ClusterIP service has its addresses when it is validated.
      const errors = createErrors(services, value);
      assert.equal(errors.length, expected.length, errors.join('\n'));
      expected.forEach((start, i) => {
        assert.ok(errors[i]!.startsWith(start), `${errors[i]}\n  is not\n${start}`);
      });
    });
});

describe('service update', () => {
  const stored = (spec: Record<string, unknown> = {}): Service => {
    const value = deepCopy(created(services, service({ type: 'NodePort', ...spec })));
    value.spec.clusterIP ??= '10.0.0.1';
    value.spec.clusterIPs ??= ['10.0.0.1'];
    value.spec.ports![0]!.nodePort ??= 30000;
    return value;
  };
  const updated = (old: Service, spec: Record<string, unknown>): Service => {
    const draft = defaulted(services, service(spec));
    services.prepareForUpdate!(draft, old);
    return draft;
  };

  it('keeps what was allocated and the client left out', () => {
    const { spec } = updated(stored(), { type: 'NodePort' });
    assert.deepEqual([spec.clusterIP, spec.clusterIPs], ['10.0.0.1', ['10.0.0.1']]);
    assert.equal(spec.ports![0]!.nodePort, 30000);
  });
  it('gives a node port back with the type', () => {
    const old = stored();
    const next = deepCopy(old);
    next.spec.type = 'ClusterIP';
    services.defaults!(next);
    services.prepareForUpdate!(next, old);
    assert.equal(next.spec.ports![0]!.nodePort, undefined);
    assert.equal(next.spec.externalTrafficPolicy, undefined);
    assert.deepEqual(services.validate!(next), []);
  });
  it('gives the cluster IP back to become ExternalName', () => {
    const old = stored();
    const next = deepCopy(old);
    next.spec.type = 'ExternalName';
    next.spec.externalName = 'a.b';
    services.prepareForUpdate!(next, old);
    assert.equal(next.spec.clusterIP, undefined);
    assert.equal(next.spec.clusterIPs, undefined);
    assert.deepEqual(services.validate!(next), []);
  });
  it('does not change the cluster IP', () => {
    const errors = updateErrors(services, stored(), service({ type: 'NodePort', clusterIP: '10.0.0.2' }));
    assert.deepEqual(errors, ['spec.clusterIPs[0]: Invalid value: ["10.0.0.2"]: may not change once set']);
  });
  it('does not change the class of a load balancer', () => {
    const old = stored({ type: 'LoadBalancer', loadBalancerClass: 'a.b/c' });
    const next = service({ type: 'LoadBalancer', loadBalancerClass: 'a.b/d' });
    assert.deepEqual(updateErrors(services, old, next), [
      'spec.loadBalancerClass: Invalid value: "a.b/d": may not change once set',
    ]);
  });
});

describe('service warnings', () => {
  it('tell of fields without effect and of deprecated ones', () => {
    const warn = (spec: Record<string, unknown>) =>
      services.warnings!(defaulted(services, service(spec)), undefined);
    assert.deepEqual(warn({}), []);
    assert.deepEqual(warn({ externalIPs: ['1.2.3.4'], externalName: 'a' }), [
      'spec.externalIPs is deprecated and may no longer be implemented in some clusters',
      'spec.externalName is ignored when spec.type is not "ExternalName"',
    ]);
    assert.deepEqual(warn({ clusterIP: 'None', sessionAffinity: 'ClientIP' }), [
      'spec.SessionAffinity is ignored for headless services',
    ]);
  });
});

describe('service types', () => {
  const stored = (spec: Record<string, unknown>): Service => {
    const draft = deepCopy(created(services, service(spec)));
    if (draft.spec.type !== 'ExternalName') {
      draft.spec.clusterIP ??= '10.96.0.1';
      draft.spec.clusterIPs ??= ['10.96.0.1'];
    }
    return draft;
  };
  /** The spec after the client has sent back what it read, with a change. */
  const changed = (old: Service, change: Record<string, unknown>): Service => {
    const draft = defaulted(services, { ...old, spec: { ...deepCopy(old.spec), ...change } } as Service);
    services.prepareForUpdate!(draft, old);
    return draft;
  };
  const balancer = stored({
    type: 'LoadBalancer',
    loadBalancerClass: 'a.b/c',
    ports: [{ port: 80, nodePort: 30000 }],
  });

  it('a node port stays, and the rest of a load balancer goes', () => {
    const { spec } = changed(balancer, { type: 'NodePort' });
    assert.equal(spec.ports![0]!.nodePort, 30000);
    assert.equal(spec.externalTrafficPolicy, 'Cluster');
    assert.equal('allocateLoadBalancerNodePorts' in spec, false);
    assert.equal('loadBalancerClass' in spec, false);
  });
  it('an internal one has neither', () => {
    const now = changed(balancer, { type: 'ClusterIP' });
    assert.equal(now.spec.ports![0]!.nodePort, undefined);
    assert.equal(now.spec.externalTrafficPolicy, undefined);
    assert.deepEqual(updateErrors(services, balancer, now), []);
  });
  it('what the client changes at the same time is told of', () => {
    const now = changed(balancer, { type: 'ClusterIP', ports: [{ port: 80, nodePort: 30001 }] });
    assert.deepEqual(
      services.validate!(now).map(({ field }) => field),
      ['spec.ports[0].nodePort'],
    );
  });
  it('a port keeps its node port by its name', () => {
    const old = stored({
      type: 'NodePort',
      ports: [
        { port: 80, name: 'a', nodePort: 30000 },
        { port: 81, name: 'b', nodePort: 30001 },
      ],
    });
    const ports = [
      { port: 8080, name: 'a' },
      { port: 81, name: 'c' },
    ];
    const { spec } = changed(old, { ports });
    assert.deepEqual(
      spec.ports!.map((port) => port.nodePort),
      [30000, undefined],
    );
  });
  it('a name outside of the cluster has no address in it', () => {
    const { spec } = changed(balancer, { type: 'ExternalName', externalName: 'a.b' });
    for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy', 'externalTrafficPolicy'])
      assert.equal(field in spec, false, field);
  });
  it('going back to one family drops the second', () => {
    const dual = { ipFamilyPolicy: 'RequireDualStack', ipFamilies: ['IPv4', 'IPv6'] };
    const old = stored({ clusterIP: 'None', ...dual });
    const { spec } = changed(old, { ipFamilyPolicy: 'SingleStack' });
    assert.deepEqual(spec.ipFamilies, ['IPv4']);
  });
  it('the two names of an annotation say the same', () => {
    const annotations = {
      'service.kubernetes.io/topology-mode': 'Auto',
      'service.kubernetes.io/topology-aware-hints': 'Disabled',
    };
    const value = object(services, { spec: { ports: [{ port: 80 }] } }, { annotations });
    assert.deepEqual(createErrors(services, value), [
      'metadata.annotations[service.kubernetes.io/topology-mode]: Invalid value: "Auto": must match annotations[service.kubernetes.io/topology-aware-hints] when both are specified',
    ]);
  });
});
