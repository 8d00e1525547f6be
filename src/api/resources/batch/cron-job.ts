/** CronJobs. */
import type { CronJob, CronJobSpec } from '#types';
import { CronError, isTimeZone, parseCron } from '../../machinery/cron.js';
import { child, type FieldError, invalid, notSupported, required } from '../../machinery/field.js';
import { sameJson, validateNonnegative } from '../../machinery/validation.js';
import { nameWarnings } from '../apps/workload.js';
import { ageColumn, nameColumn, since, templateColumns } from '../columns.js';
import { podSpecWarnings } from '../core/podspec/warnings.js';
import { type Column, defineResource } from '../define.js';
import { dropUnset } from '../unset.js';
import { defaultTemplate, validateSpecOfTemplate } from './job-spec.js';

/** A Job's name adds a dash and a time in ten digits. */
const MAX_NAME = 52;
const POLICIES = ['Allow', 'Forbid', 'Replace'];

function validate({ spec }: CronJob): FieldError[] {
  const at = (...names: string[]) => child('spec', ...names);
  return [
    ...(spec.schedule ? validateSchedule(spec.schedule, at('schedule')) : [required(at('schedule'))]),
    ...validateNonnegative(spec.startingDeadlineSeconds, at('startingDeadlineSeconds')),
    ...validateTimeZone(spec.timeZone, at('timeZone')),
    ...validatePolicy(spec.concurrencyPolicy, at('concurrencyPolicy')),
    ...validateTemplate(spec, at('jobTemplate', 'spec')),
    ...validateNonnegative(spec.successfulJobsHistoryLimit, at('successfulJobsHistoryLimit')),
    ...validateNonnegative(spec.failedJobsHistoryLimit, at('failedJobsHistoryLimit')),
  ];
}

function validateSchedule(schedule: string, path: string): FieldError[] {
  try {
    parseCron(schedule);
    return [];
  } catch (error) {
    if (!(error instanceof CronError)) throw error;
    return [invalid(path, schedule, error.message)];
  }
}

/** A zone in the schedule itself may stay where it was before there was a field. */
function validateZoneInSchedule({ spec }: CronJob, old?: CronJob): FieldError[] {
  const { schedule = '', timeZone } = spec;
  const has = (text: string | undefined) => text?.includes('TZ') === true;
  if (!has(schedule)) return [];
  const wrong = (detail: string) => [invalid('spec.schedule', schedule, detail)];
  if (!has(old?.spec.schedule))
    return wrong('cannot use TZ or CRON_TZ in schedule, use timeZone field instead');
  return timeZone === undefined ? [] : wrong('cannot use both timeZone field and TZ or CRON_TZ in schedule');
}

function validateTimeZone(zone: string | undefined, path: string): FieldError[] {
  if (zone === undefined) return [];
  if (zone === '') return [invalid(path, zone, 'timeZone must be nil or non-empty string')];
  if (zone.toLowerCase() === 'local')
    return [
      invalid(
        path,
        zone,
        'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones',
      ),
    ];
  return isTimeZone(zone) ? [] : [invalid(path, zone, `unknown time zone ${zone}`)];
}

function validatePolicy(policy: string | undefined, path: string): FieldError[] {
  if (!policy) return [required(path)];
  return POLICIES.includes(policy) ? [] : [notSupported(path, policy, POLICIES)];
}

function validateTemplate({ jobTemplate }: CronJobSpec, path: string): FieldError[] {
  const { spec } = jobTemplate;
  if (!spec) return [required(path)];
  const errors = validateSpecOfTemplate(spec, path);
  if (spec.selector)
    errors.push(invalid(child(path, 'selector'), spec.selector, '`selector` will be auto-generated'));
  // Each Job of the schedule needs a selector of its own.
  if (spec.manualSelector) errors.push(notSupported(child(path, 'manualSelector'), true, ['nil', 'false']));
  return errors;
}

function warnings(cron: CronJob, old: CronJob | undefined): string[] {
  const found = nameWarnings(cron, old);
  const template = cron.spec.jobTemplate.spec?.template;
  if (template?.spec && !sameJson(template, old?.spec.jobTemplate.spec?.template))
    found.push(...podSpecWarnings(template.spec, template.metadata, 'spec.jobTemplate.spec.template'));
  return found;
}

/** The columns of containers and images are those of the Jobs. */
const jobColumns = templateColumns<CronJob>().map(
  (column): Column<CronJob> => ({
    ...column,
    cell: (cron, now) =>
      column.cell({ ...cron, spec: cron.spec.jobTemplate.spec } as unknown as CronJob, now),
  }),
);

export const cronJobs = defineResource<CronJob>({
  group: 'batch',
  version: 'v1',
  kind: 'CronJob',
  plural: 'cronjobs',
  shortNames: ['cj'],
  categories: ['all'],
  namespaced: true,
  generation: true,
  subresources: [{ name: 'status', kind: 'CronJob', verbs: ['get', 'patch', 'update'] }],
  defaults(cron) {
    cron.spec ??= {} as CronJobSpec;
    const { spec } = cron;
    spec.concurrencyPolicy ||= 'Allow';
    spec.suspend ??= false;
    spec.successfulJobsHistoryLimit ??= 3;
    spec.failedJobsHistoryLimit ??= 1;
    spec.jobTemplate ??= {};
    spec.jobTemplate.spec ??= {} as typeof spec.jobTemplate.spec & object;
    spec.jobTemplate.metadata ??= {} as typeof spec.jobTemplate.metadata & object;
    defaultTemplate(spec.jobTemplate.spec);
    if (cron.status) dropUnset(cron.status, ['lastScheduleTime', 'lastSuccessfulTime']);
  },
  prepareForCreate(cron) {
    cron.status = {};
  },
  prepareForStatusUpdate(cron, old) {
    cron.spec = old.spec;
  },
  validate,
  validateCreate: (cron) => [
    ...validateZoneInSchedule(cron),
    ...(cron.metadata.name.length > MAX_NAME
      ? [invalid('metadata.name', cron.metadata.name, `must be no more than ${MAX_NAME} characters`)]
      : []),
  ],
  validateUpdate: validateZoneInSchedule,
  warnings,
  columns: [
    nameColumn,
    {
      name: 'Schedule',
      type: 'string',
      description: 'When Jobs are started, in cron form.',
      cell: ({ spec }) => spec.schedule,
    },
    {
      name: 'Timezone',
      type: 'string',
      description: 'The time zone of the schedule.',
      cell: ({ spec }) => spec.timeZone ?? '<none>',
    },
    {
      name: 'Suspend',
      type: 'boolean',
      description: 'Whether no further Jobs are started.',
      cell: ({ spec }) => (spec.suspend ? 'True' : 'False'),
    },
    {
      name: 'Active',
      type: 'integer',
      description: 'Jobs that run.',
      cell: ({ status }) => status?.active?.length ?? 0,
    },
    {
      name: 'Last Schedule',
      type: 'string',
      description: 'Time since the last Job was due.',
      cell: ({ status }, now) => (status?.lastScheduleTime ? since(status.lastScheduleTime, now) : '<none>'),
    },
    ageColumn,
    ...jobColumns,
  ],
});
