/** What the conditions of a definition should be, from it and the other definitions of its group. Pure. */
import type {
  CustomResourceDefinition,
  CustomResourceDefinitionCondition,
  CustomResourceDefinitionNames,
  CustomResourceDefinitionStatus,
} from '#types';
import { structuralErrors } from '../../api/extensions/structural.js';
import { timestamp } from '../../api/machinery/clock.js';
import { describe } from '../../api/machinery/field.js';
import { approvalOf, isProtected } from '../../api/resources/apiextensions/approval.js';
import { conditionIs, withCondition } from '../../api/resources/apiextensions/custom-resource-definition.js';

type Condition = Omit<CustomResourceDefinitionCondition, 'lastTransitionTime'>;

/** Names that others use already. */
interface Taken {
  resources: Set<string>;
  kinds: Set<string>;
}

/** The status as it should be; `peers` are all definitions of the group, this one perhaps among them. */
export function desiredStatus(
  crd: CustomResourceDefinition,
  peers: readonly CustomResourceDefinition[],
  now: number,
): CustomResourceDefinitionStatus {
  const time = timestamp(now);
  let draft = crd;
  const set = (condition: Condition) => {
    const old = draft.status?.conditions?.find(({ type }) => type === condition.type);
    if (
      old &&
      old.status === condition.status &&
      old.reason === condition.reason &&
      old.message === condition.message
    )
      return;
    draft = { ...draft, status: withCondition(draft, { ...condition, lastTransitionTime: time }) };
  };
  const remove = (type: string) => {
    const conditions = (draft.status?.conditions ?? []).filter((condition) => condition.type !== type);
    draft = { ...draft, status: { ...(draft.status as CustomResourceDefinitionStatus), conditions } };
  };
  const { names, accepted } = namesCondition(crd, peers);
  draft = {
    ...draft,
    status: { ...(draft.status as CustomResourceDefinitionStatus), acceptedNames: accepted },
  };
  set(names);
  if (!conditionIs(crd, 'Established', 'True')) set(established(names));
  const approval = approvalCondition(crd);
  if (approval) set(approval);
  const problem = structuralProblem(crd);
  if (problem === '') remove('NonStructuralSchema');
  else set({ type: 'NonStructuralSchema', status: 'True', reason: 'Violations', message: problem });
  return draft.status as CustomResourceDefinitionStatus;
}

function takenBy(crd: CustomResourceDefinition, peers: readonly CustomResourceDefinition[]): Taken {
  const taken: Taken = { resources: new Set(), kinds: new Set() };
  for (const { metadata, status } of peers) {
    const names = status?.acceptedNames;
    if (!names || metadata.uid === crd.metadata.uid) continue;
    for (const name of [names.plural, names.singular, ...(names.shortNames ?? [])])
      if (name) taken.resources.add(name);
    for (const name of [names.kind, names.listKind]) if (name) taken.kinds.add(name);
  }
  return taken;
}

/** Each name is accepted for itself; what was accepted before stays where the new one is refused. */
function namesCondition(
  crd: CustomResourceDefinition,
  peers: readonly CustomResourceDefinition[],
): { names: Condition; accepted: CustomResourceDefinitionNames } {
  const taken = takenBy(crd, peers);
  const wanted = crd.spec.names;
  const accepted: CustomResourceDefinitionNames = {
    ...(crd.status?.acceptedNames ?? { kind: '', plural: '' }),
  };
  const problems: [string, string][] = [];
  const accept = (names: (string | undefined)[], used: Set<string>, reason: string): boolean => {
    const conflict = names.find((name) => name && used.has(name));
    if (conflict !== undefined) problems.push([reason, `${JSON.stringify(conflict)} is already in use`]);
    return conflict === undefined;
  };
  if (accept([wanted.plural], taken.resources, 'PluralConflict')) accepted.plural = wanted.plural;
  if (accept([wanted.singular], taken.resources, 'SingularConflict'))
    assign(accepted, 'singular', wanted.singular);
  if (accept(wanted.shortNames ?? [], taken.resources, 'ShortNamesConflict'))
    assign(accepted, 'shortNames', wanted.shortNames);
  if (accept([wanted.kind], taken.kinds, 'KindConflict')) accepted.kind = wanted.kind;
  if (accept([wanted.listKind], taken.kinds, 'ListKindConflict'))
    assign(accepted, 'listKind', wanted.listKind);
  assign(accepted, 'categories', wanted.categories);
  const [last] = problems.slice(-1);
  const names = last
    ? condition('NamesAccepted', 'False', last[0], last[1])
    : condition('NamesAccepted', 'True', 'NoConflicts', 'no conflicts found');
  return { names, accepted };
}

function assign<K extends keyof CustomResourceDefinitionNames>(
  names: CustomResourceDefinitionNames,
  field: K,
  value: CustomResourceDefinitionNames[K] | undefined,
): void {
  if (value === undefined || value.length === 0) delete names[field];
  else names[field] = value;
}

const condition = (type: string, status: string, reason: string, message: string): Condition => ({
  type,
  status,
  reason,
  message,
});

/** Once established, a kind stays so. */
const established = (names: Condition): Condition =>
  names.status === 'True'
    ? condition('Established', 'True', 'InitialNamesAccepted', 'the initial names have been accepted')
    : condition('Established', 'False', 'NotAccepted', 'not all names are accepted');

function approvalCondition(crd: CustomResourceDefinition): Condition | undefined {
  if (!isProtected(crd.spec.group)) return undefined;
  const { state, reason } = approvalOf(crd);
  const type = 'KubernetesAPIApprovalPolicyConformant';
  const reasons = {
    missing: 'MissingAnnotation',
    invalid: 'InvalidAnnotation',
    bypassed: 'UnapprovedAnnotation',
    approved: 'ApprovedAnnotation',
  };
  return condition(type, state === 'approved' ? 'True' : 'False', reasons[state], reason);
}

function structuralProblem({ spec }: CustomResourceDefinition): string {
  if (spec.preserveUnknownFields) return 'spec.preserveUnknownFields: Invalid value: true: must be false';
  for (const [i, { schema }] of spec.versions.entries()) {
    const found = schema?.openAPIV3Schema;
    if (!found) continue;
    const [first] = structuralErrors(found, `spec.versions[${i}].schema.openAPIV3Schema`);
    if (first) return describe(first);
  }
  return '';
}
