/** Which nodes are told of NetworkPolicies, and of which peers. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import type { Namespace, NetworkPolicy, Pod } from '#types';
import { namespaces, networkPolicies, pods } from '../../../src/api/resources/index.js';
import { policyGroups } from '../../../src/api/resources/networking/policy-peers.js';
import { connect, type Harness, type RawAgent, startHub } from './harness.js';

describe('hub sync of NetworkPolicies', () => {
  let harness: Harness;
  const agents: Record<string, RawAgent> = {};
  const admin = <T>(resource: any) => harness.client.of<any>(resource) as any as T & Record<string, any>;

  const createPod = async (namespace: string, name: string, nodeName: string, podIP?: string) => {
    await admin(pods)['create']({
      ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace, labels: { app: name } } },
      spec: { nodeName, serviceAccountName: 'default', containers: [{ name: 'c', image: 'x' }] },
    } as unknown as Pod);
    if (podIP)
      await agents[nodeName]!.request(
        ...([
          'PATCH',
          `/api/v1/namespaces/${namespace}/pods/${name}/status`,
          { status: { podIP, podIPs: [{ ip: podIP }] } },
          'application/merge-patch+json',
        ] as const),
      );
  };
  const policy = (name: string, from: object[]): NetworkPolicy => ({
    ...{
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name, namespace: 'default' },
    },
    spec: { podSelector: {}, ingress: [{ from }] },
  });

  before(async () => {
    harness = await startHub();
    for (const name of ['n1', 'n2']) {
      agents[name] = await connect(harness, name);
      await agents[name].request('POST', '/api/v1/nodes', {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name },
      });
    }
    await admin<Namespace>(namespaces)['create']({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'other', labels: { team: 'a' } },
    });
    await harness.client
      .of<any>({
        group: '',
        version: 'v1',
        apiVersion: 'v1',
        plural: 'serviceaccounts',
        kind: 'ServiceAccount',
        namespaced: true,
      } as any)
      .create({
        ...{ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: 'other' } },
      });
  });
  after(async () => {
    for (const agent of Object.values(agents)) agent.close();
    await harness.close();
  });

  it('tells policies, peers first, to nodes with pods of the namespace, before the pods', async () => {
    const given = policy('mine', [{ namespaceSelector: { matchLabels: { team: 'a' } } }]);
    const [group] = policyGroups(given);
    await createPod('other', 'peer', 'n2', '10.244.2.9');
    await harness.client.of<NetworkPolicy>(networkPolicies).create(given);
    await createPod('default', 'isolated', 'n1');
    const { n1, n2 } = agents as { n1: RawAgent; n2: RawAgent };
    await n1.until((a) => a.told('pods').includes('default/isolated'));
    const order = n1.changes.map((c) => `${c.resource} ${c.key}`).filter((c) => /^(pol|netw|pods)/.test(c));
    assert.deepEqual(order, [
      `policypeers ${group!.id}/10.244.2`,
      'networkpolicies default/mine',
      'pods default/isolated',
    ]);
    assert.deepEqual(n1.object<any>('policypeers', `${group!.id}/10.244.2`).members, ['10.244.2.9']);
    assert.deepEqual([n2.told('networkpolicies'), n2.told('policypeers')], [[], []]);

    await admin(namespaces)['patch']('', 'other', { metadata: { labels: { team: 'b' } } }, { type: 'merge' });
    await n1.until((a) => a.told('policypeers').includes(`-${group!.id}/10.244.2`));
    await admin(namespaces)['patch']('', 'other', { metadata: { labels: { team: 'a' } } }, { type: 'merge' });
    await n1.until((a) => a.object('policypeers', `${group!.id}/10.244.2`) !== undefined);

    await admin(pods)['delete']('default', 'isolated', { gracePeriodSeconds: 0 });
    await n1.until((a) => a.told('networkpolicies').includes('-default/mine'));
    await n1.until((a) => a.object('policypeers', `${group!.id}/10.244.2`) === undefined);
  });
});
