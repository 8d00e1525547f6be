/** Events as events.k8s.io/v1 has them: the same objects as those of the core group, with other names for some fields. */
import type { Event, EventsV1Event as EventV1 } from '#types';
import { type FieldError, invalid, required } from '../../machinery/field.js';
import { dns1123Subdomain } from '../../machinery/names.js';
import type { KubeObject } from '../../machinery/types.js';
import { sameJson, validateImmutable } from '../../machinery/validation.js';
import { events, validateEvent } from '../core/event.js';
import { defineResource } from '../define.js';

/** Core's name → ours. */
const NAMES = {
  involvedObject: 'regarding',
  message: 'note',
  source: 'deprecatedSource',
  firstTimestamp: 'deprecatedFirstTimestamp',
  lastTimestamp: 'deprecatedLastTimestamp',
  count: 'deprecatedCount',
  reportingComponent: 'reportingController',
} as const;
const CORE_NAMES = Object.fromEntries(Object.entries(NAMES).map(([core, ours]) => [ours, core]));

const renamed = (object: KubeObject, apiVersion: string, names: Record<string, string>): KubeObject => ({
  ...(Object.fromEntries(
    Object.entries(object).map(([field, value]) => [names[field] ?? field, value]),
  ) as KubeObject),
  apiVersion,
});

const toCore = (event: EventV1): Event => renamed(event, 'v1', CORE_NAMES) as unknown as Event;

const REPORTING = 'reportingController';

/** What the newer API asks of an event beyond what the core group does. Fields have their core names, as upstream tells them. */
function validateCreate(event: EventV1): FieldError[] {
  const errors = validateSeries(event);
  if (!event.eventTime) errors.push(required('eventTime'));
  if (event.type !== 'Normal' && event.type !== 'Warning')
    errors.push(invalid('type', '', `has invalid value: ${event.type ?? ''}`));
  for (const field of ['firstTimestamp', 'lastTimestamp', 'count'] as const)
    if (event[NAMES[field]]) errors.push(invalid(field, '', 'needs to be unset'));
  const { component, host } = event.deprecatedSource ?? {};
  if (component || host) errors.push(invalid('source', '', 'needs to be unset'));
  return errors;
}

function validateSeries({ series }: EventV1): FieldError[] {
  if (!series) return [];
  return [
    ...(series.count < 2 ? [invalid('series.count', '', 'should be at least 2')] : []),
    ...(series.lastObservedTime ? [] : [required('series.lastObservedTime')]),
  ];
}

const IMMUTABLE = [
  'involvedObject',
  'reason',
  'message',
  'source',
  'firstTimestamp',
  'lastTimestamp',
  'count',
  'type',
  'eventTime',
  'action',
  'related',
  'reportingComponent',
  'reportingInstance',
] as const;

/** A recorder may but count on in the series. */
function validateUpdate(event: EventV1, old: EventV1): FieldError[] {
  const [now, before] = [toCore(event), toCore(old)];
  return [
    ...(sameJson(event.series, old.series) ? [] : validateSeries(event)),
    ...IMMUTABLE.flatMap((field) => {
      // Go has no absent text or number.
      const [value, earlier] = [now[field] || undefined, before[field] || undefined];
      return validateImmutable(value, earlier, field === 'reportingComponent' ? REPORTING : field);
    }),
  ];
}

const REGARDING = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'] as const;

export const eventsV1 = defineResource<EventV1>({
  group: 'events.k8s.io',
  version: 'v1',
  kind: 'Event',
  plural: 'events',
  shortNames: ['ev'],
  namespaced: true,
  conversion: {
    storedApiVersion: 'v1',
    storedGroup: '',
    fromStored: (object) => renamed(object, 'events.k8s.io/v1', NAMES),
    toStored: (object) => renamed(object, 'v1', CORE_NAMES),
  },
  validateName: dns1123Subdomain,
  defaults(event) {
    event.regarding ??= {};
    event.deprecatedSource ??= {};
    event.reportingController ??= '';
    event.reportingInstance ??= '';
  },
  validate: (event) => validateEvent(toCore(event), REPORTING),
  validateCreate,
  validateUpdate,
  columns: events.columns.map((column) => ({
    ...column,
    cell: (event, now) => column.cell(toCore(event), now),
  })),
  fields: {
    ...Object.fromEntries(
      REGARDING.map((field) => [`regarding.${field}`, (event: EventV1) => event.regarding?.[field] ?? '']),
    ),
    reason: (event) => event.reason ?? '',
    reportingController: (event) => event.reportingController ?? '',
    type: (event) => event.type ?? '',
  },
});
