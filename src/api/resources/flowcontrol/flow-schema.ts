/** FlowSchemas: which requests are of which priority level. */
import type { FlowSchema } from '#types';
import { type FieldError, invalid, notSupported, required } from '../../machinery/field.js';
import { dns1123Subdomain } from '../../machinery/names.js';
import { checked } from '../../machinery/validation.js';
import { ageColumn, nameColumn, textColumn } from '../columns.js';
import { defineResource } from '../define.js';

const MAX_PRECEDENCE = 10_000;
const METHODS = ['ByNamespace', 'ByUser'];
const PRECEDENCE = 'spec.matchingPrecedence';
const LEVEL = 'spec.priorityLevelConfiguration.name';

function validate({ metadata, spec }: FlowSchema): FieldError[] {
  const errors: FieldError[] = [];
  const precedence = spec.matchingPrecedence ?? 0;
  if (precedence <= 0) errors.push(invalid(PRECEDENCE, precedence, 'must be a positive value'));
  if (precedence > MAX_PRECEDENCE)
    errors.push(invalid(PRECEDENCE, precedence, `must not be greater than ${MAX_PRECEDENCE}`));
  if (precedence === 1 && metadata.name !== 'exempt')
    errors.push(
      invalid(PRECEDENCE, precedence, "only the schema named 'exempt' may have matchingPrecedence 1"),
    );
  const method = spec.distinguisherMethod?.type;
  if (spec.distinguisherMethod && !METHODS.includes(method ?? ''))
    errors.push(notSupported('spec.distinguisherMethod', spec.distinguisherMethod, METHODS));
  const level = spec.priorityLevelConfiguration?.name;
  if (level) errors.push(...checked(LEVEL, level, dns1123Subdomain));
  else errors.push(required(LEVEL, 'must reference a priority level'));
  return errors;
}

export const flowSchemas = defineResource<FlowSchema>({
  group: 'flowcontrol.apiserver.k8s.io',
  version: 'v1',
  kind: 'FlowSchema',
  plural: 'flowschemas',
  namespaced: false,
  generation: true,
  subresources: [{ name: 'status', kind: 'FlowSchema', verbs: ['get', 'patch', 'update'] }],
  defaults(schema) {
    schema.spec ??= {} as FlowSchema['spec'];
    schema.spec.matchingPrecedence ??= 1000;
  },
  prepareForCreate(schema) {
    schema.status = {};
  },
  prepareForStatusUpdate(schema, old) {
    schema.spec = old.spec;
  },
  validate,
  columns: [
    nameColumn,
    textColumn(
      'PriorityLevel',
      'The level of its requests.',
      ({ spec }) => spec.priorityLevelConfiguration.name,
    ),
    {
      name: 'MatchingPrecedence',
      type: 'integer',
      description: 'Lower ones are asked first.',
      cell: ({ spec }) => spec.matchingPrecedence ?? 0,
    },
    textColumn(
      'DistinguisherMethod',
      'What tells its flows apart.',
      ({ spec }) => spec.distinguisherMethod?.type ?? '<none>',
    ),
    ageColumn,
    textColumn(
      'MissingPL',
      'Whether its level is missing.',
      ({ status }) => status?.conditions?.find(({ type }) => type === 'Dangling')?.status ?? '?',
    ),
  ],
});
