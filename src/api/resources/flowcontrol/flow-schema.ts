/** FlowSchemas: which requests are of which priority level. */
import type { FlowSchema } from '#types';
import { type FieldError, index, invalid, notSupported, required } from '../../machinery/field.js';
import { dns1123Subdomain } from '../../machinery/names.js';
import { checked, sameJson } from '../../machinery/validation.js';
import { ageColumn, nameColumn, textColumn } from '../columns.js';
import { defineResource } from '../define.js';
import { validateFlowRule } from './flow-rules.js';
import { MANDATORY_SCHEMAS } from './mandatory.js';
import { validateStatusConditions } from './status.js';

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
    errors.push(notSupported('spec.distinguisherMethod.type', spec.distinguisherMethod, METHODS));
  const level = spec.priorityLevelConfiguration?.name;
  if (level) errors.push(...checked(LEVEL, level, dns1123Subdomain));
  else errors.push(required(LEVEL, 'must reference a priority level'));
  spec.rules?.forEach((rule, i) => {
    errors.push(...validateFlowRule(rule, index('spec.rules', i)));
  });
  const fixed = MANDATORY_SCHEMAS.find((one) => one.metadata.name === metadata.name);
  if (fixed && !sameJson(spec, fixed.spec))
    errors.push(invalid('spec', spec, `spec of '${metadata.name}' must equal the fixed value`));
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
  validateStatusUpdate: validateStatusConditions,
  compareRows: (a, b) =>
    (a.spec.matchingPrecedence ?? 0) - (b.spec.matchingPrecedence ?? 0) ||
    (a.metadata.name < b.metadata.name ? -1 : 1),
  columns: [
    nameColumn,
    textColumn(
      'PriorityLevel',
      'The level of its requests.',
      ({ spec }) => spec.priorityLevelConfiguration.name,
    ),
    {
      name: 'MatchingPrecedence',
      type: 'string',
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
