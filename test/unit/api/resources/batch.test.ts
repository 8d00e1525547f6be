import assert from 'node:assert/strict';
import type { CronJob, Job } from '#types';
import { describe as text } from '../../../../src/api/machinery/field.js';
import { deepCopy } from '../../../../src/api/machinery/types.js';
import {
  countIndexes,
  formatIntervals,
  hasIndex,
  parseIndexesStrictly,
  parseIntervals,
  withIndexes,
} from '../../../../src/api/resources/batch/indexes.js';
import { cronJobs, jobs } from '../../../../src/api/resources/index.js';
import { ago, created, createErrors, defaulted, object, row, updateErrors } from './support.js';

const template = (spec: Record<string, unknown> = {}, labels?: Record<string, string>) => ({
  ...(labels ? { metadata: { labels } } : {}),
  spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'a' }], ...spec },
});
const job = (spec: Record<string, unknown> = {}, metadata = {}): Job =>
  object(jobs, { spec: { template: template(), ...spec } }, { uid: 'u1', ...metadata });
/** As it is stored: with its selector. */
const stored = (value: Job): Job => {
  const draft = deepCopy(created(jobs, value));
  jobs.complete?.(draft);
  return draft;
};
const errors = (value: Job): string[] => (jobs.validate?.(stored(value)) ?? []).map(text);

describe('jobs', () => {
  it('have defaults', () => {
    const { template: pods, ...spec } = defaulted(jobs, job()).spec;
    assert.deepEqual(spec, {
      completions: 1,
      parallelism: 1,
      backoffLimit: 6,
      completionMode: 'NonIndexed',
      suspend: false,
      manualSelector: false,
      podReplacementPolicy: 'TerminatingOrFailed',
    });
    assert.equal(pods.spec?.dnsPolicy, 'ClusterFirst');
    assert.equal(defaulted(jobs, job({ parallelism: 3 })).spec.completions, undefined);
    const perIndex = { completionMode: 'Indexed', completions: 2, backoffLimitPerIndex: 1 };
    assert.equal(defaulted(jobs, job(perIndex)).spec.backoffLimit, 2 ** 31 - 1);
  });

  it('get labels and a selector of their own', () => {
    const { spec, metadata } = stored(job({ template: template({}, { app: 'a' }) }));
    const generated = {
      'batch.kubernetes.io/controller-uid': 'u1',
      'batch.kubernetes.io/job-name': 'x',
      'controller-uid': 'u1',
      'job-name': 'x',
    };
    assert.deepEqual(spec.template.metadata?.labels, { ...generated, app: 'a' });
    assert.deepEqual(metadata.labels, spec.template.metadata?.labels);
    assert.deepEqual(spec.selector, { matchLabels: { 'batch.kubernetes.io/controller-uid': 'u1' } });
    const manual = { manualSelector: true, selector: { matchLabels: { a: 'b' } } };
    const own = stored(job({ ...manual, template: template({}, { a: 'b' }) }));
    assert.deepEqual(own.spec.selector, manual.selector);
  });

  const indexed = { completionMode: 'Indexed', completions: 3 };
  const rules = (...list: object[]) => ({ podFailurePolicy: { rules: list } });
  const cases: [string, Record<string, unknown>, string[]][] = [
    ['valid', {}, []],
    [
      'always restarting',
      { template: template({ restartPolicy: 'Always' }) },
      ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
    ],
    [
      'a taken label',
      { template: template({}, { 'job-name': 'other' }) },
      [
        'spec.template.metadata.labels[job-name]: Invalid value: {"batch.kubernetes.io/controller-uid":"u1","batch.kubernetes.io/job-name":"x","controller-uid":"u1","job-name":"other"}: must be \'x\'',
      ],
    ],
    [
      'a selector of others',
      { selector: { matchLabels: { a: 'b' } } },
      [
        'spec.selector: Invalid value: {"matchLabels":{"batch.kubernetes.io/controller-uid":"u1","a":"b"}}: `selector` not auto-generated',
        'spec.template.metadata.labels: Invalid value: {"batch.kubernetes.io/controller-uid":"u1","batch.kubernetes.io/job-name":"x","controller-uid":"u1","job-name":"x"}: `selector` does not match template `labels`',
      ],
    ],
    [
      'negative counts',
      { parallelism: -1, backoffLimit: -1 },
      [
        'spec.parallelism: Invalid value: -1: must be greater than or equal to 0',
        'spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0',
      ],
    ],
    [
      'indexed without completions',
      { completionMode: 'Indexed', parallelism: 1 },
      ['spec.completions: Required value: when completion mode is Indexed'],
    ],
    [
      'limits per index without indexes',
      { backoffLimitPerIndex: 1 },
      ['spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode'],
    ],
    [
      'managed by nobody',
      { managedBy: 'me' },
      ['spec.managedBy: Invalid value: "me": must be a domain-prefixed path (such as "acme.io/foo")'],
    ],
    [
      'failure rule without a condition',
      rules({ action: 'Ignore' }),
      [
        'spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required',
      ],
    ],
    [
      'failure rule of an unknown container',
      rules({ action: 'FailJob', onExitCodes: { containerName: 'z', operator: 'In', values: [0, 2, 1] } }),
      [
        'spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: "z": must be one of the container or initContainer names in the pod template',
        'spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator',
        'spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [0,2,1]: must be ordered',
      ],
    ],
    [
      'failure policy with restarts',
      { ...rules(), template: template({ restartPolicy: 'OnFailure' }) },
      [
        'spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is specified',
      ],
    ],
    [
      'success policy',
      { ...indexed, successPolicy: { rules: [{ succeededIndexes: '0,2', succeededCount: 3 }] } },
      [
        'spec.successPolicy.rules[0].succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)',
      ],
    ],
    [
      'success policy without indexes',
      { successPolicy: { rules: [] } },
      ['spec.successPolicy: Invalid value: {"rules":[]}: requires indexed completion mode'],
    ],
    [
      'replacement at once with a failure policy',
      { ...rules(), podReplacementPolicy: 'TerminatingOrFailed' },
      ['spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"'],
    ],
  ];
  for (const [what, spec, expected] of cases)
    it(`check: ${what}`, () => assert.deepEqual(errors(job(spec)), expected));

  it('change only where they may', () => {
    const change = (from: Record<string, unknown>, to: Record<string, unknown>, status = {}) => {
      const old = { ...stored(job(from)), status };
      return updateErrors(jobs, old, {
        ...deepCopy(old),
        spec: { ...deepCopy(old.spec), ...to } as Job['spec'],
      });
    };
    assert.deepEqual(
      change({}, { parallelism: 0, suspend: true, backoffLimit: 1, ttlSecondsAfterFinished: 5 }),
      [],
    );
    assert.match(
      change({}, { completions: 4 })[0]!,
      /^spec.completions: Invalid value: 4: field is immutable/,
    );
    assert.deepEqual(change(indexed, { completions: 5, parallelism: 5 }), []);
    assert.match(
      change(indexed, { completions: 5 })[0]!,
      /can only be modified in tandem with spec.parallelism/,
    );
    const moved = (old: Job['spec']['template']) => ({
      ...old,
      spec: { ...old.spec!, nodeSelector: { a: 'b' } },
    });
    const { template: pods } = stored(job({ suspend: true })).spec;
    assert.deepEqual(change({ suspend: true }, { template: moved(pods) }), []);
    assert.match(change({}, { template: moved(pods) })[0]!, /^spec.template: .*field is immutable$/);
  });

  describe('status', () => {
    const yes = (...types: string[]) => ({ conditions: types.map((type) => ({ type, status: 'True' })) });
    const times = { startTime: ago(90), completionTime: ago(30) };
    const done = { ...times, ...yes('SuccessCriteriaMet', 'Complete') };
    const indexed = { completionMode: 'Indexed', completions: 5, parallelism: 2 };
    const cases: [string, Record<string, unknown>, object, object, string[]][] = [
      ['a Job completes', {}, { startTime: ago(90), active: 1 }, done, []],
      ['a Job fails', {}, {}, { startTime: ago(90), ...yes('FailureTarget', 'Failed') }, []],
      [
        'an end with pods left',
        {},
        {},
        { ...done, active: 1, terminating: 1, uncountedTerminatedPods: { failed: ['a', 'a', ''] } },
        [
          'status.uncountedTerminatedPods.failed[1]: Duplicate value: "a"',
          'status.uncountedTerminatedPods.failed[2]: Invalid value: "": must not be empty',
          'status.active: Invalid value: 1: active>0 is invalid for finished job',
          'status.uncountedTerminatedPods: Invalid value: {"failed":["a","a",""]}: uncountedTerminatedPods needs to be empty for finished job',
          'status.terminating: Invalid value: 1: terminating>0 is invalid for finished job',
        ],
      ],
      [
        'an end without a beginning',
        {},
        {},
        yes('Complete'),
        [
          'status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition',
          'status.completionTime: Required value: completionTime is required for Complete jobs',
          'status.startTime: Required value: startTime is required for finished job',
        ],
      ],
      [
        'two ends',
        {},
        {},
        { ...times, ...yes('Complete', 'Failed', 'FailureTarget', 'SuccessCriteriaMet') },
        [
          'status.conditions: Invalid value: cannot set Complete=True and Failed=true conditions',
          'status.conditions: Invalid value: cannot set Complete=True and FailureTarget=true conditions',
          'status.conditions: Invalid value: cannot set SuccessCriteriaMet=True and Failed=true conditions',
          'status.conditions: Invalid value: cannot set SuccessCriteriaMet=True and FailureTarget=true conditions',
        ],
      ],
      [
        'an end before the beginning',
        {},
        {},
        { ...done, startTime: ago(10) },
        [`status.completionTime: Invalid value: "${ago(30)}": completionTime cannot be set before startTime`],
      ],
      [
        'what has ended stays',
        {},
        done,
        { ...times, completionTime: ago(20) },
        [
          `status.completionTime: Invalid value: "${ago(20)}": cannot set completionTime when there is no Complete=True condition`,
          'status.conditions: Invalid value: cannot disable the terminal Complete=True condition',
          `status.completionTime: Invalid value: "${ago(20)}": completionTime cannot be mutated`,
          'status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition',
        ],
      ],
      [
        'counts do not shrink',
        {},
        { succeeded: 2, failed: 2 },
        { succeeded: 1, failed: 1 },
        [
          'status.failed: Invalid value: 1: cannot decrease the failed counter',
          'status.succeeded: Invalid value: 1: cannot decrease the succeeded counter',
        ],
      ],
      [
        'more ready than active',
        {},
        {},
        { active: 1, ready: 2 },
        ['status.ready: Invalid value: 2: cannot set more ready pods than active'],
      ],
      ['an old fault does not matter', {}, { active: 1, ready: 2 }, { active: 1, ready: 2, failed: 1 }, []],
      [
        'indexes of a Job without',
        {},
        {},
        { completedIndexes: '0', failedIndexes: '0' },
        [
          'status.completedIndexes: Invalid value: "0": cannot set non-empty completedIndexes when non-indexed completion mode',
          'status.failedIndexes: Invalid value: "0": cannot set non-null failedIndexes when backoffLimitPerIndex is null',
          'status.failedIndexes: Invalid value: "0": failedIndexes and completedIndexes overlap at index: 0',
        ],
      ],
      [
        'indexes',
        { ...indexed, backoffLimitPerIndex: 1 },
        {},
        { completedIndexes: '1-3', failedIndexes: '0,3,7' },
        [
          'status.failedIndexes: Invalid value: "0,3,7": error parsing failedIndexes: too large index: "7"',
          'status.failedIndexes: Invalid value: "0,3,7": failedIndexes and completedIndexes overlap at index: 3',
        ],
      ],
      [
        'it began when it began',
        {},
        { startTime: ago(90) },
        { startTime: ago(80) },
        ['status.startTime: Required value: startTime cannot be removed for unsuspended job'],
      ],
      ['unless it is suspended', { suspend: true }, { startTime: ago(90) }, {}, []],
    ];
    for (const [what, spec, before, after, expected] of cases)
      it(what, () => {
        const old = { ...stored(job(spec)), status: before } as Job;
        const found = (jobs.validateStatusUpdate?.({ ...old, status: after } as Job, old) ?? []).map(text);
        assert.deepEqual(found, expected);
      });
  });

  it('do not end twice', () => {
    const condition = (type: string) => ({ type, status: 'True' });
    const old = { ...stored(job()), status: { conditions: [condition('Complete')], completionTime: ago(1) } };
    const next = { ...old, status: { conditions: [condition('Failed')] } };
    const found = (jobs.validateStatusUpdate?.(next, old) ?? []).map(text);
    assert.deepEqual(found, [
      'status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true condition',
      'status.conditions: Invalid value: cannot disable the terminal Complete=True condition',
    ]);
  });

  it('have columns', () => {
    const running = { ...stored(job({ parallelism: 3 })), status: { succeeded: 1, startTime: ago(65) } };
    const { Status, Completions, Duration } = row(jobs, running);
    assert.deepEqual([Status, Completions, Duration], ['Running', '1/1 of 3', '65s']);
    const conditions = [{ type: 'Complete', status: 'True' }];
    const status = { succeeded: 1, startTime: ago(60), completionTime: ago(30), conditions };
    const ended = row(jobs, { ...stored(job()), status });
    assert.deepEqual([ended['Status'], ended['Completions'], ended['Duration']], ['Complete', '1/1', '30s']);
  });
});

describe('cronjobs', () => {
  const cron = (spec: Record<string, unknown> = {}, metadata = {}): CronJob =>
    object(
      cronJobs,
      { spec: { schedule: '* * * * *', jobTemplate: { spec: { template: template() } }, ...spec } },
      metadata,
    );

  it('have defaults', () => {
    const { jobTemplate, ...spec } = defaulted(cronJobs, cron()).spec;
    assert.deepEqual(spec, {
      schedule: '* * * * *',
      concurrencyPolicy: 'Allow',
      suspend: false,
      successfulJobsHistoryLimit: 3,
      failedJobsHistoryLimit: 1,
    });
    assert.equal(jobTemplate.spec?.template.spec?.schedulerName, 'default-scheduler');
    assert.equal(jobTemplate.spec?.backoffLimit, undefined);
  });

  const cases: [string, Record<string, unknown>, string[]][] = [
    ['valid', { timeZone: 'Europe/Berlin' }, []],
    ['no schedule', { schedule: '' }, ['spec.schedule: Required value']],
    [
      'a bad schedule',
      { schedule: 'now' },
      ['spec.schedule: Invalid value: "now": expected exactly 5 fields, found 1: [now]'],
    ],
    [
      'a time zone in the schedule',
      { schedule: 'TZ=UTC * * * * *' },
      [
        'spec.schedule: Invalid value: "TZ=UTC * * * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead',
      ],
    ],
    [
      'an unknown time zone',
      { timeZone: 'Mars/Base' },
      ['spec.timeZone: Invalid value: "Mars/Base": unknown time zone Mars/Base'],
    ],
    [
      'no time zone',
      { timeZone: '' },
      ['spec.timeZone: Invalid value: "": timeZone must be nil or non-empty string'],
    ],
    [
      'another policy',
      { concurrencyPolicy: 'Never' },
      ['spec.concurrencyPolicy: Unsupported value: "Never": supported values: "Allow", "Forbid", "Replace"'],
    ],
    [
      'always restarting',
      { jobTemplate: { spec: { template: template({ restartPolicy: 'Always' }) } } },
      [
        'spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
      ],
    ],
  ];
  for (const [what, spec, expected] of cases)
    it(`check: ${what}`, () => assert.deepEqual(createErrors(cronJobs, cron(spec)), expected));

  it('may keep a time zone in their schedule that was there before', () => {
    const schedule = 'TZ=UTC * * * * *';
    const old = defaulted(cronJobs, cron({ schedule }));
    assert.deepEqual(updateErrors(cronJobs, old, cron({ schedule })), []);
    assert.deepEqual(updateErrors(cronJobs, old, cron({ schedule, timeZone: 'Europe/Berlin' })), [
      `spec.schedule: Invalid value: "${schedule}": cannot use both timeZone field and TZ or CRON_TZ in schedule`,
    ]);
    assert.deepEqual(
      createErrors(
        cronJobs,
        cron({ jobTemplate: { spec: { template: template({ restartPolicy: 'Never' }), selector: {} } } }),
      ),
      ['spec.jobTemplate.spec.selector: Invalid value: {}: `selector` will be auto-generated'],
    );
  });

  it('leave room in their names for those of their Jobs', () => {
    const name = 'a'.repeat(53);
    assert.deepEqual(createErrors(cronJobs, cron({}, { name })), [
      `metadata.name: Invalid value: "${name}": must be no more than 52 characters`,
    ]);
  });

  it('have columns', () => {
    const cells = row(cronJobs, { ...defaulted(cronJobs, cron()), status: { lastScheduleTime: ago(30) } });
    const { Schedule, Timezone, Suspend, Active, 'Last Schedule': last, Images } = cells;
    assert.deepEqual(
      [Schedule, Timezone, Suspend, Active, last, Images],
      ['* * * * *', '<none>', 'False', 0, '30s', 'a'],
    );
  });
});

describe('completion indexes', () => {
  it('are read, written and counted as intervals', () => {
    const some = parseIntervals('1,3-5,7,8', 10);
    assert.equal(formatIntervals(some), '1,3-5,7,8');
    assert.equal(countIndexes(some), 6);
    assert.equal(formatIntervals(withIndexes(some, [2, 9, 0])), '0-5,7-9');
    assert.deepEqual(
      [0, 1, 2, 4, 6, 8, 9].filter((i) => hasIndex(some, i)),
      [1, 4, 8],
    );
    assert.equal(formatIntervals(parseIntervals('1,3-5,7', 5)), '1,3,4');
    assert.equal(formatIntervals([]), '');
  });

  it('are refused where a user writes nonsense', () => {
    for (const wrong of ['a', '1-', '3,1', '2-2', '0-10', '1,1', '1-2-3'])
      assert.throws(() => parseIndexesStrictly(wrong, 10), Error, wrong);
  });
});
