/** A pod's life on a node whose runtime only keeps notes. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { PodStatus } from '#types';
import { RuntimeError } from '../../../src/runtime/types.js';
import { type FakeNode, fakeNode, makePod, until } from './fakes.js';

describe('PodWorker', () => {
  let node: FakeNode;
  beforeEach(async () => {
    node = await fakeNode();
  });
  afterEach(() => node.close());

  const last = (): PodStatus => node.statuses.at(-1)!;
  const container = () => last()?.containerStatuses?.[0];
  const waiting = () => container()?.state?.waiting?.reason;
  const starts = () => node.runtime.calls.filter((call) => call.startsWith('start'));

  async function run(pod = makePod()): Promise<void> {
    node.tell('pods', 'default/p', pod);
    await until(() => last()?.phase === 'Running', 'Running');
  }

  it('makes a pod run and tells of it', async () => {
    await run();
    assert.deepEqual(node.runtime.calls, ['createSandbox', 'start a/0']);
    assert.deepEqual(
      node.events.map((event) => event.split(':')[0]),
      ['Pulled', 'Created', 'Started'],
    );
    assert.deepEqual([last().podIP, container()!.ready, container()!.restartCount], ['10.244.0.9', true, 0]);
  });

  it('tells nothing while nothing changes, also of a pod whose placement nobody told', async () => {
    await run();
    await until(() => container()?.ready === true);
    const told = node.statuses.length;
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal(node.statuses.length, told);
    assert.ok(last().conditions!.some(({ type, status }) => type === 'PodScheduled' && status === 'True'));
  });

  it('restarts at once, then backs off, and counts', async () => {
    await run();
    node.runtime.end('a', 1);
    await until(() => starts().length === 2);
    await until(() => container()?.restartCount === 1 && container()?.state?.running !== undefined);
    assert.equal(container()!.lastState?.terminated?.exitCode, 1);
    node.runtime.end('a', 2);
    await until(() => waiting() === 'CrashLoopBackOff');
    assert.equal(
      container()!.state!.waiting!.message,
      'back-off 10s restarting failed container=a pod=p_default(uid-1)',
    );
    assert.ok(
      node.events.includes('BackOff: Back-off restarting failed container a in pod p_default(uid-1)'),
    );
    await node.clock.pass(9_000);
    assert.equal(starts().length, 2);
    await node.clock.pass(1_500);
    await until(() => starts().length === 3);
    assert.deepEqual(starts(), ['start a/0', 'start a/1', 'start a/2']);
  });

  it('backs off on as it did when the agent starts again', async () => {
    await run();
    for (const delay of [0, 10_000, 20_000]) {
      node.runtime.end('a', 1);
      const begun = starts().length;
      await until(() => delay === 0 || waiting() === 'CrashLoopBackOff');
      await node.clock.pass(delay + 500);
      await until(() => starts().length > begun);
      await until(() => container()?.state?.running !== undefined);
    }
    node.runtime.end('a', 1);
    await until(() => waiting() === 'CrashLoopBackOff');
    node = await node.restart();
    node.tell('pods', 'default/p', makePod());
    await until(() => waiting() === 'CrashLoopBackOff');
    assert.match(container()!.state!.waiting!.message!, /^back-off 40s restarting/);
    await node.clock.pass(39_000);
    assert.equal(starts().length, 4);
    await node.clock.pass(2_000);
    await until(() => starts().length === 5);
    // It ran for so long that what was before is forgotten.
    await until(() => container()?.state?.running !== undefined);
    await node.clock.pass(11 * 60_000);
    node.runtime.end('a', 1);
    await until(() => starts().length === 6);
  });

  it('waits no longer than its back-off when the clock is set back, nor when it is set forward', async () => {
    await run();
    node.runtime.end('a', 1);
    await until(() => starts().length === 2);
    await until(() => container()?.restartCount === 1 && container()?.state?.running !== undefined);
    node.runtime.end('a', 1);
    await until(() => waiting() === 'CrashLoopBackOff');
    // Timers go on whatever time it is said to be.
    node.clock.step(-86_400_000);
    await node.clock.pass(11_000);
    await node.clock.pass(11_000);
    await until(() => starts().length === 3);
    await until(() => container()?.state?.running !== undefined);
    node.runtime.end('a', 1);
    await until(() => waiting() === 'CrashLoopBackOff');
    node.clock.step(86_400_000);
    await node.clock.pass(21_000);
    await until(() => starts().length === 4);
  });

  it('ends a deleted pod: signal, last status, all gone, then the API', async () => {
    await run();
    node.runtime.obedient = false;
    const metadata = { deletionTimestamp: '2026-01-01T00:00:30Z', deletionGracePeriodSeconds: 30 };
    node.tell('pods', 'default/p', makePod({}, metadata));
    await until(() => node.runtime.calls.includes('stop a SIGTERM 30000'));
    assert.ok(node.events.includes('Killing: Stopping container a'));
    assert.deepEqual(node.confirmed, []);
    node.runtime.end('a', 143);
    await until(() => node.confirmed.length === 1);
    assert.deepEqual(node.runtime.calls.at(-1), 'removeSandbox');
    assert.equal(container()!.state!.terminated!.exitCode, 143);
    await until(() => node.manager.list().length === 0);
  });

  it('kills sooner when the grace is cut short', async () => {
    await run();
    node.runtime.obedient = false;
    const deleted = (seconds: number) =>
      makePod({}, { deletionTimestamp: '2026-01-01T00:00:30Z', deletionGracePeriodSeconds: seconds });
    node.tell('pods', 'default/p', deleted(30));
    await until(() => node.runtime.calls.some((call) => call.startsWith('stop')));
    node.tell('pods', 'default/p', deleted(1));
    await node.clock.pass(1_000);
    assert.equal(node.runtime.calls.at(-1), 'stop a SIGKILL 0');
  });

  it('ends a pod that the API has forgotten, and tells nobody', async () => {
    await run();
    const told = node.statuses.length;
    node.tell('pods', 'default/p');
    await until(() => node.runtime.calls.at(-1) === 'removeSandbox' && node.manager.list().length === 0);
    assert.deepEqual([node.confirmed, node.statuses.length], [[], told]);
  });

  it('replaces a pod by another of its name', async () => {
    await run();
    node.tell('pods', 'default/p', makePod({}, { uid: 'uid-2' }));
    await until(() => node.runtime.all.has('uid-2') && !node.runtime.all.has('uid-1'));
  });

  it('keeps the last status of a pod that is done', async () => {
    node.tell('pods', 'default/p', makePod({ restartPolicy: 'Never' }));
    await until(() => last()?.phase === 'Running');
    node.runtime.end('a', 0);
    await until(() => node.runtime.calls.at(-1) === 'removeSandbox');
    assert.deepEqual([last().phase, container()!.state!.terminated!.reason], ['Succeeded', 'Completed']);
    assert.deepEqual(node.confirmed, []);
  });

  it('goes when it is deleted while it is ending by itself', async () => {
    const sent = new Promise<void>((resolve) => {
      node.statusSent = () => {
        node.statusSent = undefined;
        const metadata = { deletionTimestamp: '2026-01-01T00:00:30Z', deletionGracePeriodSeconds: 30 };
        node.tell('pods', 'default/p', makePod({ restartPolicy: 'Never' }, metadata));
        setTimeout(resolve, 20);
        return sent;
      };
    });
    node.tell('pods', 'default/p', makePod({ restartPolicy: 'Never' }));
    await until(() => last()?.phase === 'Running');
    node.runtime.end('a', 0);
    await until(() => node.confirmed.length === 1);
    assert.equal(last().phase, 'Succeeded');
  });

  it('does not wait for a sandbox that cannot be made when it is deleted', async () => {
    node.runtime.createSandbox = async () => Promise.reject(new Error('no cgroup'));
    node.tell('pods', 'default/p', makePod());
    await until(() =>
      node.events.includes('FailedCreatePodSandBox: Failed to create pod sandbox: no cgroup'),
    );
    const metadata = { deletionTimestamp: '2026-01-01T00:00:30Z', deletionGracePeriodSeconds: 30 };
    node.tell('pods', 'default/p', makePod({}, metadata));
    await until(() => node.confirmed.length === 1);
  });

  it('waits for an object, and goes on when it comes', async () => {
    const envFrom = [{ configMapRef: { name: 'later' } }];
    node.tell('pods', 'default/p', makePod({ containers: [{ name: 'a', image: 'demo:1', envFrom }] }));
    await until(() => waiting() === 'CreateContainerConfigError');
    assert.equal(container()!.state!.waiting!.message, 'configmap "later" not found');
    assert.ok(node.events.includes('Failed: Error: configmap "later" not found'));
    const metadata = { name: 'later', namespace: 'default' };
    node.tell('configmaps', 'default/later', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata,
      data: { K: 'v' },
    });
    await until(() => last().phase === 'Running');
    assert.ok(node.runtime.configs[0]!.env.includes('K=v'));
  });

  it('makes paths of annotations, once they are right', async () => {
    const fieldRef = { fieldPath: "metadata.annotations['at']" };
    const spec = {
      volumes: [{ name: 'v', emptyDir: {} }],
      containers: [
        {
          ...{ name: 'a', image: 'demo:1', env: [{ name: 'AT', valueFrom: { fieldRef } }] },
          volumeMounts: [{ name: 'v', mountPath: '/v', subPathExpr: '../$(AT)' }],
        },
      ],
    };
    node.tell('pods', 'default/p', makePod(spec));
    await until(() => waiting() === 'CreateContainerConfigError');
    const failures = () => node.events.filter((event) => event.startsWith('Failed:')).length;
    assert.equal(failures(), 1);
    node.tell('pods', 'default/p', makePod(spec, { annotations: { at: 'here' } }));
    await until(() => failures() === 2, 'another try');
  });

  it('waits for a volume, and goes on when it can be made', async () => {
    const volumes = [{ name: 'v', configMap: { name: 'later' } }];
    node.tell('pods', 'default/p', makePod({ volumes }));
    const failed = 'FailedMount: MountVolume.SetUp failed for volume "v" : configmap "later" not found';
    await until(() => node.events.includes(failed));
    assert.deepEqual(starts(), []);
    const metadata = { name: 'later', namespace: 'default' };
    node.tell('configmaps', 'default/later', { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: {} });
    await until(() => last().phase === 'Running');
  });

  it('tells of a command that cannot be run as upstream does', async () => {
    node.runtime.failStart = new RuntimeError('StartFailed', 'exec: "x": not found');
    node.tell('pods', 'default/p', makePod({ restartPolicy: 'Never' }));
    await until(() => last()?.phase === 'Failed');
    const { terminated } = container()!.state!;
    assert.deepEqual([terminated!.reason, terminated!.exitCode], ['StartError', 128]);
    assert.ok(node.events.includes('Failed: Error: exec: "x": not found'));
  });

  it('backs off from a registry that does not answer, and tries again', async () => {
    node.registryDown = true;
    node.tell('pods', 'default/p', makePod({ containers: [{ name: 'a', image: 'remote:1' }] }));
    await until(() => waiting() === 'ErrImagePull');
    await node.clock.pass(2_000);
    await until(() => waiting() === 'ImagePullBackOff');
    assert.ok(node.events.includes('BackOff: Back-off pulling image "remote:1"'));
    const pulls = () => node.events.filter((event) => event.startsWith('Pulling')).length;
    assert.equal(pulls(), 1);
    // What the time is said to be does not count.
    node.clock.step(-86_400_000);
    node.registryDown = false;
    await node.clock.pass(8_500);
    await until(() => last().phase === 'Running');
    assert.equal(pulls(), 2);
  });

  it('runs init containers one after the other', async () => {
    const initContainers = [
      { name: 'i', image: 'demo:1' },
      { name: 'j', image: 'demo:1' },
    ];
    node.tell('pods', 'default/p', makePod({ initContainers }));
    await until(() => starts().includes('start i/0'));
    assert.equal(waiting(), 'PodInitializing');
    node.runtime.end('i', 0);
    await until(() => starts().includes('start j/0'));
    node.runtime.end('j', 0);
    await until(() => last().phase === 'Running');
    assert.deepEqual(starts(), ['start i/0', 'start j/0', 'start a/0']);
  });

  it('makes a new sandbox when its shim is gone', async () => {
    await run();
    node.runtime.all.get('uid-1')!.alive = false;
    node.runtime.emit('gone', 'uid-1');
    await until(() => starts().length === 2 && container()?.state?.running !== undefined);
    assert.ok(node.events.some((event) => event.startsWith('SandboxChanged')));
    assert.deepEqual(starts(), ['start a/0', 'start a/1']);
    assert.equal(container()!.restartCount, 1);
  });

  it('fails a pod that is past its deadline', async () => {
    await run(makePod({ activeDeadlineSeconds: 60 }));
    await node.clock.pass(60_000);
    await until(() => last().phase === 'Failed');
    assert.equal(last().reason, 'DeadlineExceeded');
  });

  it('goes on with what an agent before it started, hub or no hub', async () => {
    await run();
    await until(() => node.manager.list().length === 1);
    const before = { ...last(), id: container()!.containerID };
    node = await node.restart();
    await until(() => node.statuses.length > 0);
    assert.equal(container()!.containerID, before.id);
    assert.deepEqual(starts(), ['start a/0']);
    // The hub is still away: restarts are made all the same.
    node.runtime.end('a', 1);
    await until(() => starts().length === 2);
  });

  it('ends pods that were deleted while the agent was away', async () => {
    await run();
    node = await node.restart();
    assert.equal(node.manager.list().length, 1);
    node.objects.markSynced('pods');
    await until(() => node.manager.list().length === 0);
    assert.deepEqual(node.runtime.calls.slice(-2), ['stop a SIGTERM 30000', 'removeSandbox']);
  });

  it('counts no more once the API has forgotten it, though its containers are still ending', async () => {
    await run();
    const [worker] = node.manager.list();
    assert.equal(worker!.isActive, true);
    node.runtime.obedient = false;
    worker!.forget();
    assert.deepEqual([worker!.isActive, node.manager.list().length], [false, 1]);
    node.runtime.end('a', 137);
    await until(() => node.manager.list().length === 0);
  });

  it('leaves a pod alone that was done before the agent came', async () => {
    const status = { phase: 'Succeeded', containerStatuses: [] } as unknown as PodStatus;
    node.tell('pods', 'default/p', { ...makePod({ restartPolicy: 'Never' }), status });
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.deepEqual([node.runtime.calls, node.statuses], [[], []]);
  });
});
