/** PriorityLevelConfigurations: how many requests of a level are served at once, and what becomes of the others. */
import type { PriorityLevelConfiguration } from '#types';
import { type FieldError, forbidden, notSupported, required } from '../../machinery/field.js';
import { ageColumn, nameColumn, textColumn } from '../columns.js';
import { defineResource } from '../define.js';

const RESPONSES = ['Queue', 'Reject'];

function defaults(level: PriorityLevelConfiguration): void {
  level.spec ??= {} as PriorityLevelConfiguration['spec'];
  const { exempt, limited } = level.spec;
  if (exempt) {
    exempt.nominalConcurrencyShares ??= 0;
    exempt.lendablePercent ??= 0;
  }
  if (!limited) return;
  limited.nominalConcurrencyShares ??= 30;
  limited.lendablePercent ??= 0;
  const queuing = limited.limitResponse?.queuing;
  if (!queuing) return;
  queuing.handSize ??= 8;
  queuing.queues ??= 64;
  queuing.queueLengthLimit ??= 50;
}

function validate({ spec: { type, limited, exempt } }: PriorityLevelConfiguration): FieldError[] {
  switch (type) {
    case 'Exempt':
      return limited ? [forbidden('spec.limited', 'must be nil if the type is not Limited')] : [];
    case 'Limited': {
      const errors = exempt ? [forbidden('spec.exempt', 'must be nil if the type is Limited')] : [];
      if (!limited) return [...errors, required('spec.limited', 'must not be empty when type is Limited')];
      const { type: response = '', queuing } = limited.limitResponse ?? {};
      const at = 'spec.limited.limitResponse';
      if (!RESPONSES.includes(response)) errors.push(notSupported(`${at}.type`, response, RESPONSES));
      if (response === 'Reject' && queuing)
        errors.push(forbidden(`${at}.queuing`, 'must be nil if limited.limitResponse.type is not Limited'));
      if (response === 'Queue' && !queuing)
        errors.push(required(`${at}.queuing`, 'must not be empty if limited.limitResponse.type is Limited'));
      return errors;
    }
    default:
      return [notSupported('spec.type', type ?? '', ['Exempt', 'Limited'])];
  }
}

const queuing = ({ spec }: PriorityLevelConfiguration) => spec.limited?.limitResponse?.queuing;

export const priorityLevelConfigurations = defineResource<PriorityLevelConfiguration>({
  group: 'flowcontrol.apiserver.k8s.io',
  version: 'v1',
  kind: 'PriorityLevelConfiguration',
  plural: 'prioritylevelconfigurations',
  namespaced: false,
  generation: true,
  subresources: [{ name: 'status', kind: 'PriorityLevelConfiguration', verbs: ['get', 'patch', 'update'] }],
  defaults,
  prepareForCreate(level) {
    level.status = {};
  },
  prepareForStatusUpdate(level, old) {
    level.spec = old.spec;
  },
  validate,
  columns: [
    nameColumn,
    textColumn('Type', 'Whether it is limited.', ({ spec }) => spec.type),
    textColumn(
      'NominalConcurrencyShares',
      'Its share of the server.',
      ({ spec }) => (spec.limited ?? spec.exempt)?.nominalConcurrencyShares ?? '<none>',
    ),
    textColumn('Queues', 'How many queues it has.', (level) => queuing(level)?.queues ?? '<none>'),
    textColumn(
      'HandSize',
      'How many queues a flow may use.',
      (level) => queuing(level)?.handSize ?? '<none>',
    ),
    textColumn(
      'QueueLengthLimit',
      'How many requests may wait in a queue.',
      (level) => queuing(level)?.queueLengthLimit ?? '<none>',
    ),
    ageColumn,
  ],
});
