/** PodDisruptionBudgets: how many pods of a workload may be evicted at a time. */
import type { PodDisruptionBudget } from '#types';
import { validateConditions } from '../../machinery/conditions.js';
import { child, type FieldError, invalid, notSupported } from '../../machinery/field.js';
import { validateLabelSelector, validateNonnegative } from '../../machinery/validation.js';
import { ageColumn, nameColumn } from '../columns.js';
import { defineResource } from '../define.js';
import { validateAtMostAll, validateIntOrPercent } from '../int-or-percent.js';

const COUNTS = ['disruptionsAllowed', 'currentHealthy', 'desiredHealthy', 'expectedPods'] as const;
const POLICIES = ['AlwaysAllow', 'IfHealthyBudget'];

function validate({ spec = {} }: PodDisruptionBudget): FieldError[] {
  const { minAvailable, maxUnavailable, unhealthyPodEvictionPolicy: policy } = spec;
  const errors: FieldError[] = [];
  if (minAvailable !== undefined && maxUnavailable !== undefined)
    errors.push(invalid('spec', spec, 'minAvailable and maxUnavailable cannot be both set'));
  for (const [field, value] of Object.entries({ minAvailable, maxUnavailable }))
    if (value !== undefined) {
      const path = child('spec', field);
      errors.push(...validateIntOrPercent(value, path), ...validateAtMostAll(value, path));
    }
  errors.push(...validateLabelSelector(spec.selector, 'spec.selector'));
  if (policy !== undefined && !POLICIES.includes(policy))
    errors.push(notSupported('spec.unhealthyPodEvictionPolicy', policy, POLICIES));
  return errors;
}

const validateStatus = ({ status }: PodDisruptionBudget): FieldError[] => [
  ...validateConditions(status?.conditions, 'status.conditions'),
  ...COUNTS.flatMap((field) => validateNonnegative(status?.[field], child('status', field))),
];

const amount = (value: number | string | undefined): string => (value === undefined ? 'N/A' : String(value));

export const podDisruptionBudgets = defineResource<PodDisruptionBudget>({
  group: 'policy',
  version: 'v1',
  kind: 'PodDisruptionBudget',
  plural: 'poddisruptionbudgets',
  shortNames: ['pdb'],
  namespaced: true,
  generation: true,
  subresources: [{ name: 'status', kind: 'PodDisruptionBudget', verbs: ['get', 'patch', 'update'] }],
  defaults(budget) {
    budget.spec ??= {};
    if (budget.status) for (const field of COUNTS) budget.status[field] ??= 0;
  },
  prepareForCreate(budget) {
    budget.status = { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 };
  },
  prepareForStatusUpdate(budget, old) {
    budget.spec = old.spec;
  },
  validate,
  validateStatusUpdate: validateStatus,
  columns: [
    nameColumn,
    {
      name: 'Min Available',
      type: 'string',
      description: 'Pods that must stay available.',
      cell: ({ spec }) => amount(spec?.minAvailable),
    },
    {
      name: 'Max Unavailable',
      type: 'string',
      description: 'Pods that may be unavailable.',
      cell: ({ spec }) => amount(spec?.maxUnavailable),
    },
    {
      name: 'Allowed Disruptions',
      type: 'integer',
      description: 'Evictions that are allowed now.',
      cell: ({ status }) => status?.disruptionsAllowed ?? 0,
    },
    ageColumn,
  ],
});
