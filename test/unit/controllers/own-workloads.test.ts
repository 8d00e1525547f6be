/** What the cluster tells of itself in kube-system, beside the controllers that would make pods of it. */
import assert from 'node:assert/strict';
import { daemonSets, deployments, nodes, pods, replicaSets } from '../../../src/api/resources/index.js';
import { startDaemonSetController } from '../../../src/controllers/daemonset/index.js';
import { startDeploymentController } from '../../../src/controllers/deployment/index.js';
import { startOwnWorkloads } from '../../../src/controllers/own-workloads/index.js';
import { Harness } from './harness.js';

describe('the objects of what the cluster runs for itself', function () {
  this.timeout(10_000);
  let h: Harness;
  beforeEach(async () => {
    h = await Harness.start(startOwnWorkloads, startDaemonSetController, startDeploymentController);
  });
  afterEach(() => h.close());

  const agents = async () => (await h.find(daemonSets, 'kube-system', 'keelson-agent'))?.status;
  const server = () => h.find(deployments, 'kube-system', 'keelson-server');
  const ready = (name: string, status: string) =>
    h.client
      .of(nodes)
      .patch(
        '',
        name,
        { status: { conditions: [{ type: 'Ready', status }] } },
        { type: 'strategic', subresource: 'status' },
      );

  it('count the nodes and their agents', async () => {
    for (const name of ['a', 'b'])
      await h.client.of(nodes).create({ apiVersion: 'v1', kind: 'Node', metadata: { name }, spec: {} });
    const told = (desired: number, works: number) =>
      h.until(`${works} of ${desired}`, async () => {
        const status = await agents();
        return status?.desiredNumberScheduled === desired && status.numberReady === works;
      });
    await told(2, 0);
    await ready('a', 'True');
    await told(2, 1);
    await ready('a', 'Unknown');
    await told(2, 0);
    await h.client.of(nodes).delete('', 'b');
    await told(1, 0);
  });

  it('are what they are, whatever others make of them, and no pods come of them', async () => {
    const settled = () =>
      h.until('one replica that is there', async () => {
        const found = await server();
        const { generation } = found?.metadata ?? {};
        return found?.spec.replicas === 1 && found.status?.observedGeneration === generation && found;
      });
    const { uid } = (await settled()).metadata;
    await h.client
      .of(deployments)
      .patch('kube-system', 'keelson-server', { spec: { replicas: 3 } }, { type: 'merge' });
    assert.equal((await settled()).status?.readyReplicas, 1);
    await h.client.of(deployments).delete('kube-system', 'keelson-server');
    await h.until('another one', async () => (await settled()).metadata.uid !== uid);
    await h.settle();
    assert.deepEqual(await h.list(pods, 'kube-system'), []);
    assert.deepEqual(await h.list(replicaSets, 'kube-system'), []);
  });
});
