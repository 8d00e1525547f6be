/** Jobs and CronJobs of the book, with real kubectl and real pods. */
import assert from 'node:assert/strict';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import type { Kubectl } from '../../fixtures/tools.js';

const EXAMPLES = 'examples/ch12-jobs';

describe('Jobs, as a reader of the book runs them', function () {
  this.timeout(60_000);
  let cluster: TestCluster;
  let kubectl: Kubectl;
  const apply = (...files: string[]) =>
    kubectl('apply', ...files.flatMap((file) => ['-f', `${EXAMPLES}/${file}.yaml`]));
  const complete = (job: string) =>
    kubectl('wait', '--for=condition=complete', `job/${job}`, '--timeout=30s');
  const get = (what: string, path: string) => kubectl('get', ...what.split(' '), '-o', `jsonpath={${path}}`);
  const events = (name: string) =>
    get(`events --field-selector involvedObject.name=${name}`, '.items[*].reason');

  before(async () => {
    cluster = await startTestCluster();
    kubectl = cluster.kubectl;
  });
  after(() => cluster?.down());

  it('runs a one-shot Job and keeps its log', async () => {
    await apply('job-oneshot');
    await complete('oneshot');
    const row = await kubectl('get', 'job', 'oneshot', '--no-headers');
    assert.match(row, /^oneshot\s+Complete\s+1\/1\s+\d+s\s+\d+s/);
    assert.match(await kubectl('logs', 'job/oneshot'), /item 10\/10 done[\s\S]*workload complete/);
    assert.match(await kubectl('get', 'pods', '-l', 'job-name=oneshot', '--no-headers'), /0\/1\s+Completed/);
    const described = await kubectl('describe', 'job', 'oneshot');
    assert.match(described, /Pods Statuses:\s+0 Active \(0 Ready\) \/ 1 Succeeded \/ 0 Failed/);
    assert.match(described, /Created pod: oneshot-/);
    assert.match(described, /Job completed/);
    assert.equal(await get('pods -l job-name=oneshot', '.items[0].metadata.finalizers'), '');
  });

  it('restarts the container of a failing pod, or makes new pods, as restartPolicy says', async () => {
    await apply('job-oneshot-failure1', 'job-oneshot-failure2');
    await eventually('a restart', async () => {
      const restarts = await get(
        'pods -l job-name=oneshot-failure',
        '.items[0].status.containerStatuses[0].restartCount',
      );
      return Number(restarts) > 0;
    });
    assert.equal(
      (await get('pods -l job-name=oneshot-failure', '.items[*].metadata.name')).split(' ').length,
      1,
    );
    await eventually(
      'a failure',
      async () => (await get('job oneshot-failure-never', '.status.failed')) === '1',
    );
    await eventually(
      'a second pod, 10 s later',
      async () =>
        (await get('pods -l job-name=oneshot-failure-never', '.items[*].metadata.name')).split(' ').length ===
        2,
    );
    await kubectl('delete', 'job', 'oneshot-failure', 'oneshot-failure-never');
    const selector = 'job-name in (oneshot-failure,oneshot-failure-never)';
    await eventually(
      'no pods',
      async () => (await kubectl('get', 'pods', '-l', selector, '-o', 'name')) === '',
    );
  });

  it('runs ten completions five at a time', async () => {
    await apply('job-parallel');
    await eventually('five pods', async () => (await get('job parallel', '.status.active')) === '5');
    await complete('parallel');
    assert.equal(await get('job parallel', '.status.succeeded'), '10');
  });

  it('lets consumers empty a work queue', async () => {
    await apply('rs-queue', 'service-queue');
    await kubectl('wait', '--for=condition=ready', 'pod', '-l', 'component=queue', '--timeout=20s');
    const ip = await get('pods -l component=queue', '.items[0].status.podIP');
    const queue = `http://${ip}:8080/memq/server/queues/keygen`;
    assert.equal((await fetch(queue, { method: 'PUT' })).ok, true);
    for (let i = 0; i < 20; i++) await fetch(`${queue}/enqueue`, { method: 'POST', body: `work-item-${i}` });
    await apply('job-consumers');
    await complete('consumers');
    assert.equal(await get('job consumers', '.status.succeeded'), '5');
    const stats = await (await fetch(`http://${ip}:8080/memq/server/stats`)).text();
    assert.match(stats, /"depth":\s*0/);
    const logs = await kubectl('logs', '-l', 'job-name=consumers', '--tail=-1');
    assert.equal(logs.match(/item \d+ done/g)?.length, 20);
  });

  it('gives pods of an Indexed Job their index and hostname', async () => {
    const job = {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'indexed' },
      spec: {
        completions: 3,
        parallelism: 3,
        completionMode: 'Indexed',
        template: {
          spec: {
            restartPolicy: 'Never',
            containers: [
              {
                name: 'c',
                image: 'keelson.dev/demo:blue',
                command: ['sh', '-c', 'echo $JOB_COMPLETION_INDEX $(hostname)'],
              },
            ],
          },
        },
      },
    };
    await kubectl.try(['apply', '-f', '-'], { stdin: JSON.stringify(job) });
    await complete('indexed');
    assert.equal(await get('job indexed', '.status.completedIndexes'), '0-2');
    const lines = (await kubectl('logs', '-l', 'job-name=indexed')).trim().split('\n').sort();
    assert.deepEqual(lines, ['0 indexed-0', '1 indexed-1', '2 indexed-2']);
  });

  it('ends a Job at its deadline, and stops its pods', async () => {
    const args = ['--image=keelson.dev/demo:blue', '--dry-run=client', '-o', 'json', '--', 'sleep', '600'];
    const job = JSON.parse(await kubectl('create', 'job', 'slow', ...args));
    Object.assign(job.spec, { activeDeadlineSeconds: 2 });
    job.spec.template.spec.terminationGracePeriodSeconds = 1;
    await kubectl.try(['apply', '-f', '-'], { stdin: JSON.stringify(job) });
    await kubectl('wait', '--for=condition=failed', 'job/slow', '--timeout=20s');
    assert.match(await events('slow'), /DeadlineExceeded/);
    assert.equal(await get('job slow', '.status.conditions[?(@.type=="Failed")].reason'), 'DeadlineExceeded');
    assert.match(await kubectl('get', 'job', 'slow', '--no-headers'), /^slow\s+Failed\s+0\/1/);
  });

  it('starts Jobs on a schedule, and on demand', async () => {
    await apply('job-cronjob');
    assert.match(
      await kubectl('get', 'cronjob', 'example-cron', '--no-headers'),
      /^example-cron\s+0 \*\/5 \* \* \*\s+<none>\s+False\s+0\s+<none>/,
    );
    await kubectl('create', 'job', 'manual', '--from=cronjob/example-cron');
    await complete('manual');
    assert.match(await kubectl('logs', 'job/manual'), /done/);
    await kubectl('patch', 'cronjob', 'example-cron', '-p', '{"spec":{"schedule":"@every 2s"}}');
    await eventually('a Job', async () => (await events('example-cron')).includes('SuccessfulCreate'));
    await eventually('its end', async () => (await events('example-cron')).includes('SawCompletedJob'));
    assert.notEqual(await get('cj example-cron', '.status.lastScheduleTime'), '');
    const wrong = await kubectl.try([
      'patch',
      'cronjob',
      'example-cron',
      '-p',
      '{"spec":{"schedule":"61 * * * *"}}',
    ]);
    assert.match(
      wrong.stderr,
      /spec.schedule: Invalid value: "61 \* \* \* \*": end of range \(61\) above maximum \(59\): 61/,
    );
    await kubectl('delete', 'cronjob', 'example-cron');
    await eventually(
      'no Jobs of it',
      async () => !(await get('jobs', '.items[*].metadata.name')).includes('example-cron'),
    );
  });
});
