/** The Job controller against an API server. */
import assert from 'node:assert/strict';
import type { Job, Pod } from '#types';
import { timestamp } from '../../../src/api/machinery/clock.js';
import { jobs, pods } from '../../../src/api/resources/index.js';
import { startJobController } from '../../../src/controllers/job/index.js';
import { startTtlAfterFinished } from '../../../src/controllers/ttl-after-finished.js';
import { Harness } from './harness.js';

const FINALIZER = 'batch.kubernetes.io/job-tracking';

describe('Job controller', function () {
  this.timeout(15_000);
  let h: Harness;
  beforeEach(async () => {
    h = await Harness.start(startJobController, startTtlAfterFinished);
  });
  afterEach(() => h.close());

  const create = (spec: Partial<Job['spec']> = {}, restartPolicy = 'Never') =>
    h.client.of(jobs).create({
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'work', namespace: 'default' },
      spec: {
        template: { spec: { restartPolicy, containers: [{ name: 'c', image: 'work:1' }] } },
        ...spec,
      },
    } as Job);
  const job = () => h.client.of(jobs).get('default', 'work');
  const alive = async () => (await h.list(pods)).filter((p) => !p.metadata.deletionTimestamp && !isEnded(p));
  const isEnded = (pod: Pod) => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
  const count = (n: number) =>
    h.until(`${n} active pods`, async () => {
      const found = await alive();
      return found.length === n && found;
    });
  const condition = (type: string) =>
    h.until(type, async () =>
      (await job()).status?.conditions?.find((c) => c.type === type && c.status === 'True'),
    );
  const end = (pod: Pod, phase: 'Succeeded' | 'Failed', exitCode = phase === 'Failed' ? 1 : 0) => {
    const terminated = { exitCode, finishedAt: timestamp(h.clock.now()), reason: 'x' };
    const containerStatuses = [
      { name: 'c', image: 'work:1', imageID: '', ready: false, restartCount: 0, state: { terminated } },
    ];
    const patch = { status: { phase, containerStatuses } };
    return h.client
      .of(pods)
      .patch('default', pod.metadata.name, patch, { type: 'merge', subresource: 'status' });
  };
  /** Ends what is deleted, as kubelets do. */
  const kubelet = async () => {
    for (const pod of await h.list(pods))
      if (pod.metadata.deletionTimestamp)
        await h.client.of(pods).delete('default', pod.metadata.name, { gracePeriodSeconds: 0 });
  };
  const index = (pod: Pod) => pod.metadata.annotations?.['batch.kubernetes.io/job-completion-index'];

  it('runs one pod to its end, and counts it once its finalizer is gone', async () => {
    const created = await create();
    const { uid } = created.metadata;
    const labels = {
      'batch.kubernetes.io/controller-uid': uid,
      'batch.kubernetes.io/job-name': 'work',
      'controller-uid': uid,
      'job-name': 'work',
    };
    assert.deepEqual(created.spec.selector, { matchLabels: { 'batch.kubernetes.io/controller-uid': uid } });
    const [pod] = await count(1);
    assert.deepEqual(pod!.metadata.labels, labels);
    assert.deepEqual(pod!.metadata.finalizers, [FINALIZER]);
    const running = await h.until(
      'active',
      async () => (await job()).status?.active === 1 && (await job()).status,
    );
    assert.equal(running.startTime, timestamp(h.clock.now()));
    await end(pod!, 'Succeeded');
    await condition('Complete');
    const { status } = await job();
    assert.equal(status?.succeeded, 1);
    assert.equal(status?.active, undefined);
    assert.deepEqual(status?.uncountedTerminatedPods, {});
    assert.ok(status?.completionTime);
    assert.deepEqual(
      status?.conditions?.map((c) => [c.type, c.reason, c.message]),
      [
        ['SuccessCriteriaMet', 'CompletionsReached', 'Reached expected number of succeeded pods'],
        ['Complete', 'CompletionsReached', 'Reached expected number of succeeded pods'],
      ],
    );
    assert.equal((await h.list(pods))[0]!.metadata.finalizers, undefined);
    await h.until('event', async () => (await h.events('Job')).includes('Completed: Job completed'));
  });

  it('runs as many at once as it may, until enough have succeeded', async () => {
    await create({ completions: 5, parallelism: 2 });
    for (let done = 0; done < 5; ) {
      const active = await count(Math.min(2, 5 - done));
      for (const pod of active) await end(pod, 'Succeeded');
      done += active.length;
    }
    await condition('Complete');
    assert.equal((await job()).status?.succeeded, 5);
    assert.equal((await h.list(pods)).length, 5);
  });

  it('lets a work queue drain after its first success', async () => {
    await create({ parallelism: 3 });
    const [first, ...rest] = await count(3);
    await end(first!, 'Succeeded');
    await h.settle();
    assert.equal((await alive()).length, 2);
    for (const pod of rest) await end(pod, 'Succeeded');
    await condition('Complete');
    assert.equal((await job()).status?.succeeded, 3);
  });

  it('replaces failed pods after 10 s, 20 s …, and fails after backoffLimit', async () => {
    await create({ backoffLimit: 2 });
    await end((await count(1))[0]!, 'Failed');
    await h.until('a failure', async () => (await job()).status?.failed === 1);
    await h.settle();
    assert.equal((await alive()).length, 0);
    h.clock.advance(10_000);
    await end((await count(1))[0]!, 'Failed');
    await h.until('two failures', async () => (await job()).status?.failed === 2);
    h.clock.advance(10_000);
    await h.settle();
    assert.equal((await alive()).length, 0, 'the second wait is 20 s');
    h.clock.advance(10_000);
    await end((await count(1))[0]!, 'Failed');
    const failed = await condition('Failed');
    assert.equal(failed.reason, 'BackoffLimitExceeded');
    assert.equal(failed.message, 'Job has reached the specified backoff limit');
    assert.equal((await job()).status?.failed, 3);
    await h.until('event', async () =>
      (await h.events('Job')).includes('BackoffLimitExceeded: Job has reached the specified backoff limit'),
    );
  });

  it('counts restarts of containers that are to restart on failure', async () => {
    await create({ backoffLimit: 2 }, 'OnFailure');
    const [pod] = await count(1);
    const containerStatuses = [{ name: 'c', image: 'work:1', imageID: '', ready: false, restartCount: 2 }];
    await h.client.of(pods).patch(
      'default',
      pod!.metadata.name,
      { status: { phase: 'Running', containerStatuses } },
      {
        type: 'merge',
        subresource: 'status',
      },
    );
    await condition('FailureTarget');
    await h.until('deletion', async () => (await h.list(pods)).every((p) => p.metadata.deletionTimestamp));
    assert.equal(
      (await job()).status?.conditions?.some((c) => c.type === 'Failed'),
      false,
    );
    await kubelet();
    assert.equal((await condition('Failed')).reason, 'BackoffLimitExceeded');
  });

  it('ends at its deadline, once its pods are gone', async () => {
    await create({ activeDeadlineSeconds: 30 });
    await count(1);
    h.clock.advance(31_000);
    await condition('FailureTarget');
    await h.until('deletion', async () => (await alive()).length === 0);
    await kubelet();
    const failed = await condition('Failed');
    assert.equal(failed.reason, 'DeadlineExceeded');
    assert.equal(failed.message, 'Job was active longer than specified deadline');
  });

  it('deletes pods while suspended without counting them, and starts anew when resumed', async () => {
    await create({ suspend: true });
    const suspended = await condition('Suspended');
    assert.equal(suspended.reason, 'JobSuspended');
    assert.equal((await h.list(pods)).length, 0);
    assert.equal((await job()).status?.startTime, undefined);
    const set = (suspend: boolean) =>
      h.client.of(jobs).patch('default', 'work', { spec: { suspend } }, { type: 'merge' });
    await set(false);
    const [pod] = await count(1);
    await h.until('resumed', async () =>
      (await job()).status?.conditions?.some((c) => c.type === 'Suspended' && c.status === 'False'),
    );
    await set(true);
    await h.until('deletion', async () => (await alive()).length === 0);
    await kubelet();
    await h.until('gone', async () => (await h.find(pods, 'default', pod!.metadata.name)) === undefined);
    await h.settle();
    const { failed, startTime } = (await job()).status ?? {};
    assert.deepEqual([failed, startTime], [undefined, undefined]);
    const events = await h.events('Job');
    for (const event of ['Suspended: Job suspended', 'Resumed: Job resumed'])
      assert.ok(events.includes(event));
  });

  it('gives each pod of an Indexed Job its index, and never two the same', async () => {
    await create({ completionMode: 'Indexed', completions: 4, parallelism: 2 });
    const active = (await count(2)).sort((a, b) => (index(a)! < index(b)! ? -1 : 1));
    assert.deepEqual(active.map(index), ['0', '1']);
    const [zero, one] = active;
    assert.equal(zero!.spec.hostname, 'work-0');
    assert.match(zero!.metadata.name, /^work-0-[a-z0-9]{5}$/);
    assert.equal(zero!.metadata.labels?.['batch.kubernetes.io/job-completion-index'], '0');
    assert.deepEqual(zero!.spec.containers[0]!.env, [
      {
        name: 'JOB_COMPLETION_INDEX',
        valueFrom: {
          fieldRef: {
            apiVersion: 'v1',
            fieldPath: "metadata.labels['batch.kubernetes.io/job-completion-index']",
          },
        },
      },
    ]);
    await end(one!, 'Succeeded');
    await h.until('index 2', async () => (await alive()).some((p) => index(p) === '2'));
    await h.until('index 1 done', async () => (await job()).status?.completedIndexes === '1');
    await end(zero!, 'Succeeded');
    await h.until('index 3', async () => (await alive()).some((p) => index(p) === '3'));
    for (const pod of await alive()) await end(pod, 'Succeeded');
    await condition('Complete');
    assert.equal((await job()).status?.completedIndexes, '0-3');
  });

  it('fails indexes one by one with backoffLimitPerIndex', async () => {
    await create({ completionMode: 'Indexed', completions: 2, parallelism: 2, backoffLimitPerIndex: 1 });
    const failIndexZero = async () => {
      const pod = await h.until('index 0', async () => (await alive()).find((p) => index(p) === '0'));
      await end(pod, 'Failed');
      return pod.metadata.annotations?.['batch.kubernetes.io/job-index-failure-count'];
    };
    assert.equal(await failIndexZero(), '0');
    await h.settle();
    h.clock.advance(10_000);
    assert.equal(await failIndexZero(), '1');
    await h.until('a failed index', async () => (await job()).status?.failedIndexes === '0');
    await end((await alive())[0]!, 'Succeeded');
    const failed = await condition('Failed');
    assert.equal(failed.reason, 'FailedIndexes');
    assert.equal((await job()).status?.completedIndexes, '1');
  });

  it('fails at once by a rule of podFailurePolicy, and overlooks what another ignores', async () => {
    await create({
      backoffLimit: 0,
      podFailurePolicy: {
        rules: [
          { action: 'Ignore', onExitCodes: { operator: 'In', values: [7] } },
          { action: 'FailJob', onExitCodes: { containerName: 'c', operator: 'In', values: [42] } },
        ],
      },
    });
    const [first] = await count(1);
    await end(first!, 'Failed', 7);
    await h.settle();
    h.clock.advance(10_000);
    const second = await h.until('another pod', async () =>
      (await alive()).find((p) => p.metadata.name !== first!.metadata.name),
    );
    await end(second, 'Failed', 42);
    const failed = await condition('Failed');
    assert.equal(failed.reason, 'PodFailurePolicy');
    assert.equal(
      failed.message,
      `Container c for pod default/${second.metadata.name} failed with exit code 42 matching FailJob rule at index 1`,
    );
    assert.equal((await job()).status?.failed, 1);
  });

  it('succeeds early by its successPolicy', async () => {
    await create({
      completionMode: 'Indexed',
      completions: 3,
      parallelism: 3,
      successPolicy: { rules: [{ succeededIndexes: '0-1', succeededCount: 1 }] },
    });
    const one = (await count(3)).find((p) => index(p) === '1');
    await end(one!, 'Succeeded');
    await condition('SuccessCriteriaMet');
    await h.until('deletion', async () => (await alive()).length === 0);
    await kubelet();
    const complete = await condition('Complete');
    assert.deepEqual([complete.reason, complete.message], ['SuccessPolicy', 'Matched rules at index 0']);
  });

  it('releases pods when the Job goes away', async () => {
    await create();
    await count(1);
    await h.client.of(jobs).delete('default', 'work');
    await h.until('no finalizer', async () => (await h.list(pods))[0]!.metadata.finalizers === undefined);
  });

  it('goes away ttlSecondsAfterFinished after its end', async () => {
    await create({ ttlSecondsAfterFinished: 60 });
    await end((await count(1))[0]!, 'Succeeded');
    await condition('Complete');
    await h.settle();
    assert.equal((await job()).metadata.deletionTimestamp, undefined);
    h.clock.advance(61_000);
    await h.until('deletion', async () => (await job()).metadata.deletionTimestamp !== undefined);
    assert.deepEqual((await job()).metadata.finalizers, ['foregroundDeletion']);
  });
});
