/**
 * CustomResourceDefinition: a kind that is declared at run time.
 * @see https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/custom-resource-definition-v1/
 */
import type {
  CustomResourceDefinition,
  CustomResourceDefinitionCondition,
  CustomResourceDefinitionSpec,
  CustomResourceDefinitionStatus,
} from '#types';
import { timestamp } from '../../machinery/clock.js';
import { type FieldError, invalid } from '../../machinery/field.js';
import { dns1123Subdomain } from '../../machinery/names.js';
import { sameJson, validateImmutable } from '../../machinery/validation.js';
import { defineResource } from '../define.js';
import { approvalErrors } from './approval.js';
import { namesErrors } from './names.js';
import { specErrors } from './validate-spec.js';

/** What deletes the objects of a kind before its definition goes. */
export const CLEANUP_FINALIZER = 'customresourcecleanup.apiextensions.k8s.io';

export const isEstablished = ({ status }: CustomResourceDefinition): boolean =>
  conditionIs({ status } as CustomResourceDefinition, 'Established', 'True');

export const conditionIs = ({ status }: CustomResourceDefinition, type: string, value: string): boolean =>
  (status?.conditions ?? []).some((condition) => condition.type === type && condition.status === value);

/** The status with one condition as given; its time stays if its status does. */
export function withCondition(
  { status }: CustomResourceDefinition,
  condition: CustomResourceDefinitionCondition,
): CustomResourceDefinitionStatus {
  const conditions = status?.conditions ?? [];
  const old = conditions.find(({ type }) => type === condition.type);
  const next =
    old?.status === condition.status
      ? { ...condition, lastTransitionTime: old.lastTransitionTime }
      : condition;
  const others = conditions.map((one) => (one === old ? next : one));
  return { ...(status as CustomResourceDefinitionStatus), conditions: old ? others : [...others, next] };
}

const storageOf = ({ spec }: CustomResourceDefinition): string | undefined =>
  spec.versions?.find(({ storage }) => storage)?.name;

export const customResourceDefinitions = defineResource<CustomResourceDefinition>({
  group: 'apiextensions.k8s.io',
  version: 'v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  shortNames: ['crd', 'crds'],
  categories: ['api-extensions'],
  namespaced: false,
  generation: true,
  subresources: [{ name: 'status', kind: 'CustomResourceDefinition', verbs: ['get', 'patch', 'update'] }],
  unconditionalUpdate: false,
  plainFinalizers: true,
  defaults({ spec }) {
    if (!spec?.names) return;
    spec.names.singular ||= (spec.names.kind ?? '').toLowerCase();
    if (spec.names.kind) spec.names.listKind ||= `${spec.names.kind}List`;
    spec.conversion ??= { strategy: 'None' };
    const service = spec.conversion.webhook?.clientConfig?.service;
    if (service) service.port ??= 443;
  },
  prepareForCreate(object) {
    const storage = storageOf(object);
    object.status = {
      acceptedNames: { kind: '', plural: '' },
      conditions: [],
      storedVersions: storage === undefined ? [] : [storage],
    };
  },
  prepareForUpdate(object) {
    const storage = storageOf(object);
    const stored = object.status?.storedVersions ?? [];
    if (storage !== undefined && !stored.includes(storage))
      object.status = { ...object.status, storedVersions: [...stored, storage] } as typeof object.status;
  },
  prepareForDelete(object, now) {
    const { metadata } = object;
    const finalizers = metadata.finalizers ?? [];
    if (!finalizers.includes(CLEANUP_FINALIZER)) metadata.finalizers = [...finalizers, CLEANUP_FINALIZER];
    object.status = withCondition(object, {
      type: 'Terminating',
      status: 'True',
      reason: 'InstanceDeletionPending',
      message: 'CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon',
      lastTransitionTime: timestamp(now),
    });
  },
  validateCreate: (object) => [
    ...nameErrors(object),
    ...specErrors(object.spec, 'spec'),
    ...approvalErrors(object),
  ],
  validateUpdate: (object, old) => [
    ...nameErrors(object),
    ...updateErrors(object.spec, old.spec, isEstablished(old)),
    ...(sameJson(object.metadata.annotations, old.metadata.annotations) ? [] : approvalErrors(object, old)),
    ...storedVersionsErrors(object),
  ],
  validateStatusUpdate: (object) => [
    ...namesErrors(object.status?.acceptedNames, 'status.acceptedNames'),
    ...((object.status?.storedVersions ?? []).length === 0
      ? [
          invalid(
            'status.storedVersions',
            object.status?.storedVersions ?? [],
            'must have at least one stored version',
          ),
        ]
      : storedVersionsErrors(object)),
  ],
  columns: [
    {
      name: 'Name',
      type: 'string',
      format: 'name',
      description: 'Name of the definition: the plural and the group of the kind.',
      cell: ({ metadata }) => metadata.name,
    },
    {
      name: 'Created At',
      type: 'date',
      description: 'When the definition was made.',
      cell: ({ metadata }) => metadata.creationTimestamp,
    },
  ],
});

function nameErrors({ metadata, spec }: CustomResourceDefinition): FieldError[] {
  const { name = '' } = metadata;
  if (dns1123Subdomain(name).length > 0 || name === `${spec.names?.plural ?? ''}.${spec.group}`) return [];
  return [invalid('metadata.name', name, 'must be spec.names.plural+"."+spec.group')];
}

/** What is stored, and names that others may use, stay as they are once the kind is established. */
function updateErrors(
  spec: CustomResourceDefinitionSpec,
  old: CustomResourceDefinitionSpec,
  established: boolean,
): FieldError[] {
  const errors = specErrors(spec, 'spec', old);
  if (established)
    errors.push(
      ...validateImmutable(spec.scope, old.scope, 'spec.scope'),
      ...validateImmutable(spec.names.kind, old.names.kind, 'spec.names.kind'),
    );
  errors.push(
    ...validateImmutable(spec.group, old.group, 'spec.group'),
    ...validateImmutable(spec.names.plural, old.names.plural, 'spec.names.plural'),
  );
  return errors;
}

/** No version may go while objects are stored in it. */
function storedVersionsErrors({ spec, status }: CustomResourceDefinition): FieldError[] {
  const versions = new Set(spec.versions.map(({ name }) => name));
  return (status?.storedVersions ?? []).flatMap((version, i) =>
    versions.has(version)
      ? []
      : [
          invalid(
            `status.storedVersions[${i}]`,
            version,
            `missing from spec.versions; ${version} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${version} and removes ${version} from status.storedVersions`,
          ),
        ],
  );
}
