/** Namespaces. */
import type { Namespace } from '#types';
import { type FieldError, index, invalid } from '../../machinery/field.js';
import { dns1123Label } from '../../machinery/names.js';
import { validateFinalizerName } from '../../machinery/validation.js';
import { ageColumn, nameColumn } from '../columns.js';
import { defineResource } from '../define.js';

const NAME_LABEL = 'kubernetes.io/metadata.name';

/** The label with the namespace's name, so that selectors can name namespaces (KEP-2161). */
function labelWithName(namespace: Namespace): void {
  if (!namespace.metadata.name) return;
  namespace.metadata.labels = { ...namespace.metadata.labels, [NAME_LABEL]: namespace.metadata.name };
}

function validateStatus(namespace: Namespace): FieldError[] {
  const phase = namespace.status?.phase ?? '';
  const [expected, state] = namespace.metadata.deletionTimestamp
    ? ['Terminating', 'not empty']
    : ['Active', 'empty'];
  const rule = `may only be '${expected}' if \`deletionTimestamp\` is ${state}`;
  return phase === expected ? [] : [invalid('status.Phase', phase, rule)];
}

export const namespaces = defineResource<Namespace>({
  group: '',
  version: 'v1',
  kind: 'Namespace',
  plural: 'namespaces',
  shortNames: ['ns'],
  namespaced: false,
  verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'],
  subresources: [
    { name: 'finalize', kind: 'Namespace', verbs: ['update'] },
    { name: 'status', kind: 'Namespace', verbs: ['get', 'patch', 'update'] },
  ],
  validateName: dns1123Label,
  defaults(namespace) {
    namespace.spec ??= {};
    if (namespace.status) namespace.status.phase ||= 'Active';
    labelWithName(namespace);
  },
  complete: labelWithName,
  prepareForCreate(namespace) {
    namespace.status = { phase: 'Active' };
    const finalizers = namespace.spec.finalizers ?? [];
    if (!finalizers.includes('kubernetes')) namespace.spec.finalizers = [...finalizers, 'kubernetes'];
  },
  prepareForUpdate(namespace, old) {
    namespace.spec = { ...namespace.spec, finalizers: old.spec?.finalizers };
  },
  prepareForStatusUpdate(namespace, old) {
    namespace.spec = old.spec;
  },
  validateCreate: ({ spec }) =>
    (spec.finalizers ?? []).flatMap((name) => validateFinalizerName(name, 'spec.finalizers')),
  validateStatusUpdate: validateStatus,
  updates: {
    finalize: {
      prepareForUpdate(namespace, old) {
        namespace.status = old.status;
      },
      validateUpdate: (namespace) =>
        (namespace.spec.finalizers ?? []).flatMap((name, i) =>
          validateFinalizerName(name, index('spec.finalizers', i)),
        ),
    },
  },
  columns: [
    nameColumn,
    {
      name: 'Status',
      type: 'string',
      description: 'Whether the namespace is in use or goes away.',
      cell: (namespace) => namespace.status?.phase ?? '',
    },
    ageColumn,
  ],
  fields: { 'status.phase': (namespace) => namespace.status?.phase ?? '' },
});
