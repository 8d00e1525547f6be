/** Events. */
import type { Event } from '#types';
import { type FieldError, invalid, required } from '../../machinery/field.js';
import { pathSegment } from '../../machinery/names.js';
import { validateDns1123Subdomain, validateQualifiedName } from '../../machinery/validation.js';
import { nameColumn, since } from '../columns.js';
import { type Column, defineResource } from '../define.js';

/** Of fields of events that carry `eventTime`. */
const MAX_WORD = 128;
const MAX_MESSAGE = 1024;

/** Of every event, whichever version it is sent in; `reporting` is how that version calls the reporting component. */
export function validateEvent(event: Event, reporting: string): FieldError[] {
  const namespace = event.metadata.namespace ?? '';
  const involved = event.involvedObject?.namespace ?? '';
  const errors: FieldError[] = [];
  // Cluster-scoped objects have their events in `default`, those of newer recorders in `kube-system` too.
  const homes = event.eventTime ? ['default', 'kube-system'] : ['', 'default'];
  const agrees =
    involved === '' ? homes.includes(namespace) : Boolean(event.eventTime) || namespace === involved;
  if (!agrees) errors.push(invalid('involvedObject.namespace', involved, 'does not match event.namespace'));
  if (event.eventTime) errors.push(...validateNewStyle(event, reporting));
  return [...errors, ...validateDns1123Subdomain(namespace, 'namespace')];
}

function validateNewStyle(event: Event, reporting: string): FieldError[] {
  const errors: FieldError[] = [];
  const limit = (field: string, value: string, max: number) => {
    if (Buffer.byteLength(value) > max) errors.push(invalid(field, '', `can have at most ${max} characters`));
  };
  if (!event.reportingComponent) errors.push(required(reporting));
  errors.push(...validateQualifiedName(event.reportingComponent ?? '', reporting));
  for (const field of ['reportingInstance', 'action', 'reason'] as const) {
    if (!event[field]) errors.push(required(field));
    limit(field, event[field] ?? '', MAX_WORD);
  }
  limit('message', event.message ?? '', MAX_MESSAGE);
  return errors;
}

const first = (event: Event): string | undefined => event.firstTimestamp || event.eventTime || undefined;
const last = (event: Event): string | undefined =>
  event.series?.lastObservedTime || event.lastTimestamp || first(event);

function target(event: Event): string {
  const { kind = '', name = '' } = event.involvedObject ?? {};
  return name ? `${kind.toLowerCase()}/${name}` : kind.toLowerCase();
}

function source(event: Event): string {
  const component = event.source?.component || event.reportingComponent || '';
  const host = event.source?.host || event.reportingInstance || '';
  return host ? `${component}, ${host}` : component;
}

const columns: Column<Event>[] = [
  {
    name: 'Last Seen',
    type: 'string',
    description: 'Time since the event happened last.',
    cell: (event, now) => since(last(event), now),
  },
  {
    name: 'Type',
    type: 'string',
    description: 'Normal or Warning.',
    cell: (event) => event.type ?? '',
  },
  {
    name: 'Reason',
    type: 'string',
    description: 'What happened, in one word.',
    cell: (event) => event.reason ?? '',
  },
  { name: 'Object', type: 'string', description: 'What it happened to.', cell: target },
  {
    name: 'Subobject',
    type: 'string',
    priority: 1,
    description: 'The part of the object that it is about.',
    cell: (event) => event.involvedObject?.fieldPath ?? '',
  },
  { name: 'Source', type: 'string', priority: 1, description: 'Who tells of it.', cell: source },
  {
    name: 'Message',
    type: 'string',
    description: 'What happened, in a sentence.',
    cell: (event) => (event.message ?? '').trim(),
  },
  {
    name: 'First Seen',
    type: 'string',
    priority: 1,
    description: 'Time since the event happened first.',
    cell: (event, now) => since(first(event), now),
  },
  {
    name: 'Count',
    type: 'string',
    priority: 1,
    description: 'How often it happened.',
    cell: (event) => event.series?.count ?? (event.count || 1),
  },
  { ...nameColumn, priority: 1 },
];

const INVOLVED = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'] as const;

export const events = defineResource<Event>({
  group: '',
  version: 'v1',
  kind: 'Event',
  plural: 'events',
  shortNames: ['ev'],
  namespaced: true,
  validateName: pathSegment,
  defaults(event) {
    // Plain strings and structs in Go: always there on output.
    event.involvedObject ??= {};
    event.source ??= {};
    event.reportingComponent ??= '';
    event.reportingInstance ??= '';
  },
  validate: (event) => validateEvent(event, 'reportingComponent'),
  columns,
  fields: {
    ...Object.fromEntries(
      INVOLVED.map((field) => [
        `involvedObject.${field}`,
        (event: Event) => event.involvedObject?.[field] ?? '',
      ]),
    ),
    reason: (event) => event.reason ?? '',
    reportingComponent: (event) => event.reportingComponent ?? '',
    source: (event) => event.source?.component || event.reportingComponent || '',
    type: (event) => event.type ?? '',
  },
});
