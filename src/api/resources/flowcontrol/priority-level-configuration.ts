/** PriorityLevelConfigurations: how many requests of a level are served at once, and what becomes of the others. */
import type {
  ExemptPriorityLevelConfiguration,
  LimitedPriorityLevelConfiguration,
  PriorityLevelConfiguration,
  QueuingConfiguration,
} from '#types';
import { child, type FieldError, forbidden, invalid, notSupported, required } from '../../machinery/field.js';
import { sameJson } from '../../machinery/validation.js';
import { ageColumn, nameColumn, textColumn } from '../columns.js';
import { defineResource } from '../define.js';
import { MANDATORY_LEVELS } from './mandatory.js';
import { validateStatusConditions } from './status.js';

const RESPONSES = ['Queue', 'Reject'];
const MAX_QUEUES = 10_000_000;
const MAX_HASH_BITS = 60;

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

function validate(level: PriorityLevelConfiguration): FieldError[] {
  const { metadata, spec } = level;
  const { type = '', limited, exempt } = spec;
  const errors: FieldError[] = [];
  if ((metadata.name === 'exempt') !== (type === 'Exempt'))
    errors.push(invalid('spec.type', type, "type must be 'Exempt' if and only if name is 'exempt'"));
  if (type === 'Exempt') {
    if (limited) errors.push(forbidden('spec.limited', 'must be nil if the type is not Limited'));
    if (exempt) errors.push(...validateShares(exempt, 'spec.exempt'));
  } else if (type === 'Limited') {
    if (exempt) errors.push(forbidden('spec.exempt', 'must be nil if the type is Limited'));
    if (limited) errors.push(...validateLimited(limited, 'spec.limited'));
    else errors.push(required('spec.limited', 'must not be empty when type is Limited'));
  } else errors.push(notSupported('spec.type', type, ['Exempt', 'Limited']));
  return [...errors, ...validateFixed(level)];
}

/** Of the exempt level, what it lends may be changed. */
function validateFixed({ metadata: { name }, spec }: PriorityLevelConfiguration): FieldError[] {
  const fixed = MANDATORY_LEVELS.find((one) => one.metadata.name === name);
  const but = name === 'exempt' ? " except the 'spec.exempt' field" : '';
  const compared = name === 'exempt' ? { ...spec, exempt: fixed?.spec.exempt } : spec;
  return fixed && !sameJson(compared, fixed.spec)
    ? [invalid('spec', spec, `spec of '${name}'${but} must equal the fixed value`)]
    : [];
}

function validateShares(
  { nominalConcurrencyShares: shares = 0, lendablePercent: percent = 0 }: ExemptPriorityLevelConfiguration,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  if (shares < 0)
    errors.push(invalid(child(path, 'nominalConcurrencyShares'), shares, 'must be a non-negative integer'));
  if (percent < 0 || percent > 100)
    errors.push(invalid(child(path, 'lendablePercent'), percent, 'must be between 0 and 100, inclusive'));
  return errors;
}

function validateLimited(limited: LimitedPriorityLevelConfiguration, path: string): FieldError[] {
  const { borrowingLimitPercent: borrowed, limitResponse } = limited;
  const errors = validateShares(limited, path);
  if (borrowed !== undefined && borrowed < 0)
    errors.push(
      invalid(child(path, 'borrowingLimitPercent'), borrowed, 'if specified, must be a non-negative integer'),
    );
  const { type = '', queuing } = limitResponse ?? {};
  const at = child(path, 'limitResponse');
  const where = child(at, 'queuing');
  if (!RESPONSES.includes(type)) errors.push(notSupported(child(at, 'type'), type, RESPONSES));
  if (type === 'Reject' && queuing)
    errors.push(forbidden(where, 'must be nil if limited.limitResponse.type is not Limited'));
  if (type !== 'Queue') return errors;
  return queuing
    ? [...errors, ...validateQueuing(queuing, where)]
    : [...errors, required(where, 'must not be empty if limited.limitResponse.type is Limited')];
}

/** A flow's queues are drawn by bits of a hash of so many. */
function validateQueuing(
  { queueLengthLimit = 0, queues = 0, handSize = 0 }: QueuingConfiguration,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  const wrong = (field: string, value: number, detail: string) =>
    errors.push(invalid(child(path, field), value, detail));
  if (queueLengthLimit <= 0) wrong('queueLengthLimit', queueLengthLimit, 'must be positive');
  if (queues <= 0) wrong('queues', queues, 'must be positive');
  else if (queues > MAX_QUEUES) wrong('queues', queues, `must not be greater than ${MAX_QUEUES}`);
  if (handSize <= 0) wrong('handSize', handSize, 'must be positive');
  else if (handSize > queues) wrong('handSize', handSize, `should not be greater than queues (${queues})`);
  else if (entropyBits(queues, handSize) > MAX_HASH_BITS)
    wrong(
      'handSize',
      handSize,
      `required entropy bits of deckSize ${queues} and handSize ${handSize} should not be greater than ${MAX_HASH_BITS}`,
    );
  return errors;
}

function entropyBits(deck: number, hand: number): number {
  let bits = 0;
  for (let i = 0; i < hand; i++) bits += Math.log2(deck - i);
  return Math.ceil(bits);
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
  validateStatusUpdate: validateStatusConditions,
  columns: [
    nameColumn,
    textColumn('Type', 'Whether it is limited.', ({ spec }) => spec.type),
    textColumn(
      'NominalConcurrencyShares',
      'Its share of the server.',
      ({ spec }) => spec.limited?.nominalConcurrencyShares ?? '<none>',
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
