/** The Deployment controller with the ReplicaSet controller and made-up kubelets, against an API server. */
import assert from 'node:assert/strict';
import type { Deployment, Pod, ReplicaSet } from '#types';
import { deployments, pods, replicaSets } from '../../../src/api/resources/index.js';
import { startDeploymentController } from '../../../src/controllers/deployment/index.js';
import { startReplicaSetController } from '../../../src/controllers/replicaset/index.js';
import { Harness, podTemplate } from './harness.js';

const REVISION = 'deployment.kubernetes.io/revision';

describe('Deployment controller', function () {
  this.timeout(10_000);
  let h: Harness;
  beforeEach(async () => {
    h = await Harness.start(startReplicaSetController, startDeploymentController);
  });
  afterEach(() => h.close());

  const get = () => h.client.of(deployments).get('default', 'web');
  const sets = () => h.list(replicaSets);
  const patch = (spec: unknown) =>
    h.client.of(deployments).patch('default', 'web', { spec }, { type: 'strategic' });
  const setImage = (image: string) => patch({ template: { spec: { containers: [{ name: 'web', image }] } } });
  const imageOf = (rs: ReplicaSet | Pod) =>
    'template' in rs.spec
      ? rs.spec.template?.spec?.containers[0]?.image
      : (rs as Pod).spec.containers[0]?.image;
  const condition = (d: Deployment, type: string) => d.status?.conditions?.find((c) => c.type === type);

  /** Runs kubelets until the rollout is complete. */
  const rolledOut = (replicas: number, watch?: () => Promise<void>) =>
    h.until('the rollout', async () => {
      await watch?.();
      await h.kubelet();
      const d = await get();
      const { updatedReplicas = 0, replicas: total = 0, availableReplicas = 0 } = d.status ?? {};
      const current = d.status?.observedGeneration === d.metadata.generation;
      return (
        current && updatedReplicas === replicas && total === replicas && availableReplicas === replicas && d
      );
    });

  it('makes a ReplicaSet, and tells how it goes', async () => {
    await h.createDeployment('web', 3);
    const created = await h.until('a ReplicaSet', async () => (await sets())[0]);
    const hash = created.metadata.labels?.['pod-template-hash'];
    assert.equal(created.metadata.name, `web-${hash}`);
    assert.deepEqual(created.spec.selector.matchLabels, { app: 'web', 'pod-template-hash': hash });
    assert.deepEqual(created.spec.template?.metadata?.labels, { app: 'web', 'pod-template-hash': hash });
    assert.equal(created.metadata.annotations?.['deployment.kubernetes.io/desired-replicas'], '3');
    assert.equal(created.metadata.annotations?.['deployment.kubernetes.io/max-replicas'], '4');

    const early = await h.until('conditions', async () => {
      const d = await get();
      return d.status?.replicas === 3 && d;
    });
    assert.equal(condition(early, 'Available')?.reason, 'MinimumReplicasUnavailable');
    assert.equal(condition(early, 'Progressing')?.reason, 'ReplicaSetUpdated');
    assert.equal(early.metadata.annotations?.[REVISION], '1');

    const d = await rolledOut(3);
    assert.deepEqual(
      d.status?.conditions
        ?.map(({ type, status, reason, message }) => [type, status, reason, message])
        .sort(),
      [
        ['Available', 'True', 'MinimumReplicasAvailable', 'Deployment has minimum availability.'],
        [
          'Progressing',
          'True',
          'NewReplicaSetAvailable',
          `ReplicaSet "web-${hash}" has successfully progressed.`,
        ],
      ],
    );
    assert.deepEqual(await h.events('Deployment'), [
      `ScalingReplicaSet: Scaled up replica set web-${hash} from 0 to 3`,
    ]);
  });

  it('rolls out within maxSurge and maxUnavailable', async () => {
    await h.createDeployment('web', 5, {
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 2, maxUnavailable: 1 } },
    });
    await rolledOut(5);
    await setImage('web:2');
    let most = 0;
    let least = 5;
    await rolledOut(5, async () => {
      const alive = (await h.list(pods)).filter(({ metadata }) => !metadata.deletionTimestamp);
      most = Math.max(most, alive.length);
      const available = alive.filter(({ status }) =>
        status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True'),
      );
      least = Math.min(least, available.length);
    });
    assert.ok(most <= 7, `at most 7 pods, but there were ${most}`);
    assert.ok(least >= 4, `at least 4 available, but there were ${least}`);
    assert.ok(most > 5, 'it used the surge');
    assert.deepEqual((await h.list(pods)).map(imageOf), Array(5).fill('web:2'));
    assert.equal((await get()).metadata.annotations?.[REVISION], '2');
  });

  it('keeps the old pods when the new ones never get ready, and says so after the deadline', async () => {
    await h.createDeployment('web', 4, { progressDeadlineSeconds: 60 });
    await rolledOut(4);
    await setImage('broken');
    await h.until('new pods', async () => {
      await h.kubelet((pod) => imageOf(pod) === 'broken');
      return (await h.list(pods)).filter((pod) => imageOf(pod) === 'broken').length === 2;
    });
    await h.settle();
    const ready = (await h.list(pods)).filter(
      (pod) => imageOf(pod) === 'web:1' && !pod.metadata.deletionTimestamp,
    );
    assert.equal(ready.length, 3);
    h.clock.advance(62_000);
    const d = await h.until('the deadline', async () => {
      const now = await get();
      return condition(now, 'Progressing')?.status === 'False' && now;
    });
    assert.equal(condition(d, 'Progressing')?.reason, 'ProgressDeadlineExceeded');
    assert.match(
      condition(d, 'Progressing')?.message ?? '',
      /^ReplicaSet "web-.*" has timed out progressing\.$/,
    );
    assert.equal(condition(d, 'Available')?.status, 'True');
  });

  it('uses the old ReplicaSet again with a new revision when its template comes back', async () => {
    await h.createDeployment('web', 2);
    await rolledOut(2);
    await setImage('web:2');
    await rolledOut(2);
    await setImage('web:1');
    await rolledOut(2);
    const all = await sets();
    assert.deepEqual(
      all.map((rs) => [imageOf(rs), rs.metadata.annotations?.[REVISION], rs.spec.replicas]).sort(),
      [
        ['web:1', '3', 2],
        ['web:2', '2', 0],
      ],
    );
    const back = all.find((rs) => imageOf(rs) === 'web:1');
    assert.equal(back?.metadata.annotations?.['deployment.kubernetes.io/revision-history'], '1');
    assert.equal((await get()).metadata.annotations?.[REVISION], '3');
  });

  it('keeps only as many old ReplicaSets as revisionHistoryLimit says', async () => {
    await h.createDeployment('web', 1, { revisionHistoryLimit: 1 });
    for (const image of ['web:1', 'web:2', 'web:3', 'web:4']) {
      await setImage(image);
      await rolledOut(1);
    }
    await h.until('the clean-up', async () => (await sets()).length === 2);
    assert.deepEqual((await sets()).map(imageOf).sort(), ['web:3', 'web:4']);
  });

  it('Recreate ends all old pods before it makes new ones', async () => {
    await h.createDeployment('web', 3, { strategy: { type: 'Recreate' } });
    await rolledOut(3);
    await setImage('web:2');
    await rolledOut(3, async () => {
      const images = new Set((await h.list(pods)).map(imageOf));
      assert.ok(images.size <= 1, 'pods of both templates at once');
    });
  });

  it('does not roll out while paused, but scales; goes on when resumed', async () => {
    await h.createDeployment('web', 2);
    await rolledOut(2);
    await patch({ paused: true });
    await setImage('web:2');
    await patch({ replicas: 3 });
    await h.until('scaling', async () => {
      await h.kubelet();
      return (await h.list(pods)).length === 3;
    });
    await h.settle();
    assert.deepEqual((await sets()).map(imageOf), ['web:1']);
    const paused = await h.until('the condition', async () => {
      const d = await get();
      return condition(d, 'Progressing')?.reason === 'DeploymentPaused' && d;
    });
    assert.equal(condition(paused, 'Progressing')?.status, 'Unknown');
    await patch({ paused: null });
    await rolledOut(3);
    assert.deepEqual([...new Set((await h.list(pods)).map(imageOf))], ['web:2']);
  });

  it('scales up and down, with an event for each', async () => {
    await h.createDeployment('web', 1);
    await rolledOut(1);
    await patch({ replicas: 4 });
    await rolledOut(4);
    await patch({ replicas: 0 });
    await h.until('no pods', async () => {
      await h.kubelet();
      return (await h.list(pods)).length === 0;
    });
    const [rs] = await sets();
    await h.until('events', async () => (await h.events('Deployment')).length === 3);
    assert.deepEqual(await h.events('Deployment'), [
      `ScalingReplicaSet: Scaled up replica set ${rs!.metadata.name} from 0 to 1`,
      `ScalingReplicaSet: Scaled up replica set ${rs!.metadata.name} from 1 to 4`,
      `ScalingReplicaSet: Scaled down replica set ${rs!.metadata.name} from 4 to 0`,
    ]);
  });

  it("counts a collision and takes another name when its ReplicaSet's is taken", async () => {
    await h.createDeployment('web', 1);
    const first = await h.until('a ReplicaSet', async () => (await sets())[0]);
    await h.client.of(deployments).delete('default', 'web', { propagationPolicy: 'Orphan' });
    const { ownerReferences: _, ...metadata } = first.metadata;
    await h.client.of(replicaSets).delete('default', first.metadata.name);
    await h.until('it is gone', async () => (await sets()).length === 0);
    await h.client.of(replicaSets).create({
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: { name: metadata.name, namespace: 'default' },
      spec: { replicas: 0, selector: { matchLabels: { app: 'x' } }, template: podTemplate('x') },
    });
    await h.client
      .of(deployments)
      .patch('default', 'web', { metadata: { finalizers: null } }, { type: 'merge' });
    await h.until('the Deployment is gone', async () => !(await h.find(deployments, 'default', 'web')));
    await h.createDeployment('web', 1);
    const second = await h.until('another ReplicaSet', async () =>
      (await sets()).find((rs) => rs.metadata.ownerReferences?.[0]?.name === 'web'),
    );
    assert.notEqual(second.metadata.name, first.metadata.name);
    assert.equal((await get()).status?.collisionCount, 1);
  });
});
