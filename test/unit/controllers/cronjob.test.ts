/** The CronJob controller against an API server. */
import assert from 'node:assert/strict';
import type { CronJob, Job } from '#types';
import { timestamp } from '../../../src/api/machinery/clock.js';
import { cronJobs, jobs } from '../../../src/api/resources/index.js';
import { startCronJobController } from '../../../src/controllers/cronjob/index.js';
import { Harness } from './harness.js';

const MINUTE = 60_000;

describe('CronJob controller', function () {
  this.timeout(15_000);
  let h: Harness;
  beforeEach(async () => {
    h = await Harness.start(startCronJobController);
  });
  afterEach(() => h.close());

  const create = (spec: Partial<CronJob['spec']> = {}) =>
    h.client.of(cronJobs).create({
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      metadata: { name: 'tick', namespace: 'default' },
      spec: {
        schedule: '*/10 * * * *',
        jobTemplate: {
          metadata: { labels: { app: 'tick' } },
          spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'x' }] } } },
        },
        ...spec,
      },
    } as CronJob);
  const cron = () => h.client.of(cronJobs).get('default', 'tick');
  const count = (n: number) =>
    h.until(`${n} jobs`, async () => {
      const found = (await h.list(jobs)).sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
      return found.length === n && found;
    });
  const finish = (job: Job, type: 'Complete' | 'Failed' = 'Complete') => {
    const now = timestamp(h.clock.now());
    const condition = (type: string) => ({
      type,
      status: 'True',
      reason: 'x',
      message: '',
      lastTransitionTime: now,
      lastProbeTime: now,
    });
    const decided = type === 'Complete' ? 'SuccessCriteriaMet' : 'FailureTarget';
    const status = {
      startTime: job.metadata.creationTimestamp,
      ...(type === 'Complete' ? { completionTime: now } : {}),
      conditions: [condition(decided), condition(type)],
    };
    return h.client
      .of(jobs)
      .patch('default', job.metadata.name, { status }, { type: 'merge', subresource: 'status' });
  };
  /** In steps in which watches keep up. */
  const wait = async (ms: number) => {
    await h.settle(20);
    for (let left = ms; left > 0; left -= MINUTE) {
      h.clock.advance(Math.min(left, MINUTE));
      await h.settle(6);
    }
    await h.settle(20);
  };

  it('starts a Job at its time, named after the minute, and follows it', async () => {
    await create({ timeZone: 'Europe/Berlin' });
    await wait(9 * MINUTE);
    assert.equal((await h.list(jobs)).length, 0);
    await wait(MINUTE + 200);
    const [job] = await count(1);
    const due = Date.UTC(2026, 0, 1, 0, 10);
    assert.equal(job!.metadata.name, `tick-${due / MINUTE}`);
    assert.equal(
      job!.metadata.annotations?.['batch.kubernetes.io/cronjob-scheduled-timestamp'],
      '2026-01-01T01:10:00+01:00',
    );
    assert.equal(job!.metadata.labels?.['app'], 'tick');
    const active = await h.until('status', async () => (await cron()).status?.active);
    assert.equal(active[0]!.uid, job!.metadata.uid);
    assert.equal((await cron()).status?.lastScheduleTime, '2026-01-01T00:10:00Z');
    await finish(job!);
    await h.until('no active one', async () => (await cron()).status?.active === undefined);
    assert.ok((await cron()).status?.lastSuccessfulTime);
    const events = await h.until('events', async () => {
      const found = await h.events('CronJob');
      return found.length === 2 && found;
    });
    assert.ok(events.includes(`SuccessfulCreate: Created job ${job!.metadata.name}`));
    assert.ok(
      events.includes(`SawCompletedJob: Saw completed job: ${job!.metadata.name}, condition: Complete`),
    );
  });

  it('runs side by side, waits, or replaces, as concurrencyPolicy says', async () => {
    for (const [concurrencyPolicy, left] of [
      ['Allow', 2],
      ['Forbid', 1],
      ['Replace', 1],
    ] as const) {
      await create({ concurrencyPolicy });
      await wait(10 * MINUTE + 200);
      const [first] = await count(1);
      await wait(10 * MINUTE);
      const after = await count(left);
      const same = after.some((job) => job.metadata.uid === first!.metadata.uid);
      assert.equal(same, concurrencyPolicy !== 'Replace', concurrencyPolicy);
      await h.client.of(cronJobs).delete('default', 'tick');
      await h.client.of(jobs).deleteCollection({ namespace: 'default', propagationPolicy: 'Background' });
      await count(0);
      // On to the beginning of an hour.
      await wait(3600_000 - (h.clock.now() % 3600_000));
    }
    const events = await h.events('CronJob');
    assert.ok(events.some((e) => e.startsWith('JobAlreadyActive: Not starting job because prior execution')));
  });

  it('starts one Job for all times that were missed, unless it is too late', async () => {
    await create({ suspend: true, startingDeadlineSeconds: 120 });
    await wait(65 * MINUTE);
    const resume = (suspend: boolean) =>
      h.client.of(cronJobs).patch('default', 'tick', { spec: { suspend } }, { type: 'merge' });
    await resume(false);
    await h.settle();
    assert.equal((await h.list(jobs)).length, 0, 'the last time was 5 minutes ago');
    await resume(true);
    await wait(6 * MINUTE);
    await resume(false);
    const [job] = await count(1);
    assert.equal(job!.metadata.name, `tick-${Date.UTC(2026, 0, 1, 1, 10) / MINUTE}`);
  });

  it('keeps as many ended Jobs as its limits say', async () => {
    await create({ successfulJobsHistoryLimit: 1, failedJobsHistoryLimit: 0 });
    for (let i = 0; i < 3; i++) {
      await wait(10 * MINUTE + 200);
      const job = await h.until('a new job', async () =>
        (await h.list(jobs)).find((j) => !j.status?.conditions),
      );
      await finish(job, i === 1 ? 'Failed' : 'Complete');
    }
    const [last] = await count(1);
    assert.equal(last!.metadata.name, `tick-${Date.UTC(2026, 0, 1, 0, 30) / MINUTE}`);
  });
});
