/** PriorityClasses: names for the priority of pods. */
import type { PriorityClass } from '#types';
import { type FieldError, forbidden, notSupported } from '../../machinery/field.js';
import { validateImmutable } from '../../machinery/validation.js';
import { ageColumn, nameColumn } from '../columns.js';
import { defineResource } from '../define.js';
import { dropUnset } from '../unset.js';

const SYSTEM_PREFIX = 'system-';
const HIGHEST_FOR_USERS = 1_000_000_000;

/** The classes of every cluster, made when it starts. */
export const systemPriorityClasses: PriorityClass[] = [
  {
    apiVersion: 'scheduling.k8s.io/v1',
    kind: 'PriorityClass',
    metadata: { name: 'system-node-critical' },
    value: 2_000_001_000,
    description: 'Used for system critical pods that must not be moved from their current node.',
  },
  {
    apiVersion: 'scheduling.k8s.io/v1',
    kind: 'PriorityClass',
    metadata: { name: 'system-cluster-critical' },
    value: 2_000_000_000,
    description:
      'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
  },
];

/** What is wrong with a class of a reserved name; undefined when it is one of the system's. */
function whyNotSystem({ metadata, value = 0, globalDefault = false }: PriorityClass): string | undefined {
  const known = systemPriorityClasses.find((one) => one.metadata.name === metadata.name);
  if (known === undefined) return `${metadata.name} is not a known system priority class`;
  if (known.value !== value) return `value of ${metadata.name} PriorityClass must be ${known.value}`;
  if (globalDefault) return `globalDefault of ${metadata.name} PriorityClass must be false`;
  return undefined;
}

function validate(priority: PriorityClass): FieldError[] {
  const { metadata, value = 0, preemptionPolicy } = priority;
  const errors: FieldError[] = [];
  if (metadata.name?.startsWith(SYSTEM_PREFIX)) {
    const why = whyNotSystem(priority);
    if (why !== undefined)
      errors.push(
        forbidden(
          'metadata.name',
          `priority class names with '${SYSTEM_PREFIX}' prefix are reserved for system use only. error: ${why}`,
        ),
      );
  } else if (value > HIGHEST_FOR_USERS)
    errors.push(
      forbidden('value', `maximum allowed value of a user defined priority is ${HIGHEST_FOR_USERS}`),
    );
  if (preemptionPolicy !== undefined && !['PreemptLowerPriority', 'Never'].includes(preemptionPolicy))
    errors.push(notSupported('preemptionPolicy', preemptionPolicy, ['PreemptLowerPriority', 'Never']));
  return errors;
}

export const priorityClasses = defineResource<PriorityClass>({
  group: 'scheduling.k8s.io',
  version: 'v1',
  kind: 'PriorityClass',
  plural: 'priorityclasses',
  shortNames: ['pc'],
  namespaced: false,
  generation: true,
  defaults(priority) {
    dropUnset(priority, ['globalDefault', 'description']);
    priority.value ??= 0;
    priority.preemptionPolicy ??= 'PreemptLowerPriority';
  },
  validate,
  validateUpdate: (priority, old) => [
    ...(priority.value === old.value ? [] : [forbidden('value', 'may not be changed in an update.')]),
    ...validateImmutable(priority.preemptionPolicy, old.preemptionPolicy, 'preemptionPolicy'),
  ],
  columns: [
    nameColumn,
    {
      name: 'Value',
      type: 'integer',
      description: 'Priority of pods of the class.',
      cell: ({ value }) => value ?? 0,
    },
    {
      name: 'Global-Default',
      type: 'boolean',
      description: 'Whether pods without a class get this one.',
      cell: ({ globalDefault }) => globalDefault ?? false,
    },
    ageColumn,
    {
      name: 'PreemptionPolicy',
      type: 'string',
      description: 'Whether pods of the class may take the place of others.',
      cell: ({ preemptionPolicy }) => preemptionPolicy ?? 'PreemptLowerPriority',
    },
  ],
});
