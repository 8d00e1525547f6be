import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { NetworkPolicy, NetworkPolicySpec, Pod } from '#types';
import {
  type PolicyClause,
  policyGroups,
  policyRules,
  portNumbers,
} from '../../../src/api/resources/networking/policy-peers.js';
import { FAMILIES, type Family } from '../../../src/network/family.js';
import { PolicyEnforcer } from '../../../src/network/policy/index.js';
import { chainRules } from '../../../src/network/policy/rules.js';

const policy = (spec: Partial<NetworkPolicySpec>): NetworkPolicy => ({
  ...{ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'p', namespace: 'ns' } },
  spec: { podSelector: {}, ...spec },
});

/** Clauses as text: `peer port`, peers by their selectors. */
const text = (clauses: PolicyClause[] | undefined) =>
  clauses?.map(({ peer, port, destinations }) => {
    const { group, block } = peer === 'any' ? {} : (peer as any);
    const who = group ? { ...group, id: undefined } : (block ?? 'any');
    return [who, port, destinations && { ...destinations, id: undefined }]
      .filter((part) => part !== undefined)
      .map((part) => JSON.stringify(part).replaceAll('"', ''))
      .join(' ');
  });

const web = { podSelector: { matchLabels: { app: 'web' } } };
const inTest = { namespaceSelector: { matchLabels: { env: 'test' } } };

describe('what a NetworkPolicy means', () => {
  const table: [title: string, spec: Partial<NetworkPolicySpec>, ingress?: string[], egress?: string[]][] = [
    ['nothing said isolates ingress', {}, []],
    ['types that are told', { policyTypes: ['Egress'] }, undefined, []],
    ['egress rules alone isolate both', { egress: [{}] }, [], ['any any']],
    ['egress rules do not count where the type is missing', { egress: [{}], policyTypes: ['Ingress'] }, []],
    [
      'pods of the own namespace',
      { ingress: [{ from: [web] }] },
      ['{namespace:ns,podSelector:{matchLabels:{app:web}}} any'],
    ],
    [
      'all pods of namespaces',
      { ingress: [{ from: [inTest] }] },
      ['{namespaceSelector:{matchLabels:{env:test}}} any'],
    ],
    [
      'both in one peer',
      { ingress: [{ from: [{ ...inTest, ...web }] }] },
      ['{namespaceSelector:{matchLabels:{env:test}},podSelector:{matchLabels:{app:web}}} any'],
    ],
    [
      'peers by ports',
      {
        ingress: [
          {
            from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }, { podSelector: {} }],
            ports: [{ port: 80 }, { port: 90, endPort: 99, protocol: 'UDP' }, { protocol: 'SCTP' }],
          },
        ],
      },
      [
        '{cidr:10.0.0.0/8,except:[10.1.0.0/16]} {protocol:TCP,from:80,to:80}',
        '{cidr:10.0.0.0/8,except:[10.1.0.0/16]} {protocol:UDP,from:90,to:99}',
        '{cidr:10.0.0.0/8,except:[10.1.0.0/16]} {protocol:SCTP}',
        '{namespace:ns,podSelector:{}} {protocol:TCP,from:80,to:80}',
        '{namespace:ns,podSelector:{}} {protocol:UDP,from:90,to:99}',
        '{namespace:ns,podSelector:{}} {protocol:SCTP}',
      ],
    ],
    [
      'a named port of the pod itself',
      { ingress: [{ ports: [{ port: 'http' }] }] },
      ['any {named:{name:http,protocol:TCP}}'],
    ],
    [
      'a named port of others',
      {
        policyTypes: ['Egress'],
        egress: [{ ports: [{ port: 'http' }] }, { to: [web], ports: [{ port: 'dns', protocol: 'UDP' }] }],
      },
      undefined,
      [
        'any {named:{name:http,protocol:TCP}} {namespaceSelector:{},port:{name:http,protocol:TCP}}',
        'any {named:{name:dns,protocol:UDP}} {namespace:ns,podSelector:{matchLabels:{app:web}},port:{name:dns,protocol:UDP}}',
      ],
    ],
  ];
  for (const [title, spec, ingress, egress] of table)
    it(title, () => {
      const rules = policyRules(policy(spec));
      assert.deepEqual([text(rules.ingress), text(rules.egress)], [ingress, egress]);
    });

  it('names the same peers alike, however they are written', () => {
    const ids = (spec: Partial<NetworkPolicySpec>) => policyGroups(policy(spec)).map(({ id }) => id);
    const labels = (matchLabels: Record<string, string>) => ({
      ingress: [{ from: [{ podSelector: { matchLabels } }] }],
    });
    assert.deepEqual(ids(labels({ a: '1', b: '2' })), ids(labels({ b: '2', a: '1' })));
    assert.notDeepEqual(ids(labels({ a: '1' })), ids(labels({ a: '2' })));
  });

  it('finds named ports of containers and sidecars, by protocol', () => {
    const port = (containerPort: number, protocol?: string) => ({
      name: 'x',
      containerPort,
      ...(protocol ? { protocol } : {}),
    });
    const pod = {
      spec: {
        initContainers: [
          { name: 'i', ports: [port(1)] },
          { name: 's', restartPolicy: 'Always', ports: [port(2)] },
        ],
        containers: [{ name: 'c', ports: [port(3), port(4, 'UDP')] }],
      },
    } as Pod;
    assert.deepEqual(portNumbers(pod, { name: 'x', protocol: 'TCP' }), [2, 3]);
    assert.deepEqual(portNumbers(pod, { name: 'x', protocol: 'UDP' }), [4]);
  });

  it('makes rules that differ in the protocol only, and none for blocks of another IP family', () => {
    const rules = (protocol: string) =>
      Buffer.concat(
        chainRules([{ peer: 'any', port: { protocol, from: 80, to: 80 } }], 'ingress', FAMILIES.IPv4).rules,
      );
    const different = [...rules('TCP')].flatMap((byte, i) =>
      byte === rules('SCTP')[i] ? [] : [[byte, rules('SCTP')[i]]],
    );
    assert.deepEqual(different, [[6, 132]]);
    const block = { cidr: '2001:db8::/32' };
    const count = (family: Family) =>
      chainRules([{ peer: { block }, port: 'any' }], 'egress', family).rules.length;
    assert.deepEqual([count(FAMILIES.IPv4), count(FAMILIES.IPv6)], [0, 1]);
  });
});

describe('the node that keeps policies', () => {
  const pod = (labels: Record<string, string>) =>
    ({ metadata: { namespace: 'ns', labels }, spec: { containers: [] } }) as unknown as Pod;
  const setUp = () => {
    const sent: Buffer[] = [];
    let failing = false;
    const kernel = {
      netfilter: async (batch: Uint8Array) => {
        if (failing) throw new Error('no');
        sent.push(Buffer.from(batch));
      },
    };
    const enforcer = new PolicyEnforcer({ cluster: 'x', family: FAMILIES.IPv4, kernel });
    return {
      enforcer,
      sent,
      fail: () => {
        failing = true;
      },
    };
  };
  const peers = (members: string[]) => ({ members });
  const fromWeb = policy({ ingress: [{ from: [web] }] });
  const [group] = policyGroups(fromWeb);

  it('says nothing to the kernel where there are no policies, beside that the table goes', async () => {
    const { enforcer, sent } = setUp();
    enforcer.start();
    await enforcer.isolate('u1', '10.244.0.2', pod({}));
    await enforcer.isolate('u2', '10.244.0.3', pod({}));
    enforcer.release('u1');
    await enforcer.settled();
    assert.equal(sent.length, 1);
    await enforcer.close();
  });

  it('waits for the first look at policies before a pod gets its link', async () => {
    const { enforcer, sent } = setUp();
    const isolated = enforcer.isolate('u1', '10.244.0.2', pod({}));
    enforcer.policyChanged('ns/p', policy({}));
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(sent.length, 0);
    enforcer.start();
    await isolated;
    assert.ok(sent[0]!.includes(Buffer.from('isolated-ingress\0')));
    assert.ok(sent[0]!.includes(Buffer.from([10, 244, 0, 2])));
    await enforcer.close();
  });

  it('refuses a pod whose policies could not be set', async () => {
    const { enforcer, fail } = setUp();
    enforcer.start();
    fail();
    await assert.rejects(enforcer.isolate('u1', '10.244.0.2', pod({})), /network policies/);
    await enforcer.close();
  });

  it('tells the kernel what changes, and no more', async () => {
    const { enforcer, sent } = setUp();
    const many = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, i) => `10.${(from + i) >> 8}.${(from + i) & 255}.7`);
    enforcer.policyChanged('ns/p', fromWeb);
    enforcer.peersChanged(`${group!.id}/a`, peers(many(0, 250)));
    for (let i = 1; i < 20; i++)
      enforcer.peersChanged(`${group!.id}/${i}`, peers(many(i * 250, (i + 1) * 250)));
    enforcer.start();
    await enforcer.isolate('u1', '10.244.0.2', pod({}));
    const whole = sent.at(-1)!.length;
    enforcer.peersChanged(`${group!.id}/a`, peers([...many(0, 250), '10.99.0.7']));
    await enforcer.settled();
    assert.ok(whole > 80_000 && sent.at(-1)!.length < 300, `${whole}, then ${sent.at(-1)!.length}`);
    await enforcer.isolate('u2', '10.244.0.3', pod({}));
    assert.ok(sent.at(-1)!.length < 500, `${sent.at(-1)!.length}`);
    await enforcer.close();
  });
});
