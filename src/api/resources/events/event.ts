/** Events as events.k8s.io/v1 has them: the same objects as those of the core group, with other names for some fields. */
import type { Event, EventsV1Event as EventV1 } from '#types';
import { type FieldError, invalid, required } from '../../machinery/field.js';
import { pathSegment } from '../../machinery/names.js';
import type { KubeObject } from '../../machinery/types.js';
import { validateQualifiedName } from '../../machinery/validation.js';
import { events } from '../core/event.js';
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

const MAX_WORD = 128;
const MAX_NOTE = 1024;

function validateCreate(event: EventV1): FieldError[] {
  const errors: FieldError[] = [];
  const limited = (field: string, value: string | undefined, max: number) => {
    if (Buffer.byteLength(value ?? '') > max)
      errors.push(invalid(field, '', `can have at most ${max} characters`));
  };
  if (!event.eventTime) errors.push(required('eventTime'));
  if (!event.reportingController) errors.push(required('reportingController'));
  errors.push(...validateQualifiedName(event.reportingController ?? '', 'reportingController'));
  for (const field of ['reportingInstance', 'action', 'reason'] as const) {
    if (!event[field]) errors.push(required(field));
    limited(field, event[field], MAX_WORD);
  }
  limited('note', event.note, MAX_NOTE);
  if (event.type !== 'Normal' && event.type !== 'Warning')
    errors.push(invalid('type', '', `has invalid value: ${event.type ?? ''}`));
  for (const field of ['firstTimestamp', 'lastTimestamp', 'count'] as const)
    if (event[NAMES[field]]) errors.push(invalid(field, '', 'needs to be unset'));
  return errors;
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
  validateName: pathSegment,
  defaults(event) {
    event.regarding ??= {};
    event.deprecatedSource ??= {};
    event.reportingController ??= '';
    event.reportingInstance ??= '';
  },
  validateCreate,
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
