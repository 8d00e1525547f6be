/** What RoleBindings and ClusterRoleBindings share: subjects and the reference to a role. */
import type { ClusterRoleBinding, RbacV1Subject, RoleBinding } from '#types';
import { child, type FieldError, index, invalid, notSupported, required } from '../../machinery/field.js';
import { dns1123Subdomain, pathSegment } from '../../machinery/names.js';
import { checked, sameJson } from '../../machinery/validation.js';
import { ageColumn, nameColumn } from '../columns.js';
import type { Column } from '../define.js';
import { RBAC } from './rules.js';

type Binding = RoleBinding | ClusterRoleBinding;

export function defaultBinding(binding: Binding): void {
  binding.roleRef ??= {} as Binding['roleRef'];
  binding.roleRef.apiGroup ||= RBAC;
  binding.roleRef.kind ??= '';
  binding.roleRef.name ??= '';
  for (const subject of binding.subjects ?? []) {
    if (!subject.apiGroup && (subject.kind === 'User' || subject.kind === 'Group')) subject.apiGroup = RBAC;
    if (!subject.apiGroup) delete subject.apiGroup;
  }
}

export function validateBinding({ roleRef, subjects }: Binding, namespaced: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const kinds = namespaced ? ['Role', 'ClusterRole'] : ['ClusterRole'];
  if (roleRef.apiGroup !== RBAC) errors.push(notSupported('roleRef.apiGroup', roleRef.apiGroup, [RBAC]));
  if (!kinds.includes(roleRef.kind)) errors.push(notSupported('roleRef.kind', roleRef.kind, kinds));
  if (!roleRef.name) errors.push(required('roleRef.name'));
  else errors.push(...checked('roleRef.name', roleRef.name, pathSegment));
  (subjects ?? []).forEach((subject, i) => {
    errors.push(...validateSubject(subject, namespaced, index('subjects', i)));
  });
  return errors;
}

function validateSubject(subject: RbacV1Subject, namespaced: boolean, path: string): FieldError[] {
  const { kind, name, apiGroup = '', namespace } = subject;
  const errors: FieldError[] = name ? [] : [required(child(path, 'name'))];
  switch (kind) {
    case 'ServiceAccount':
      if (name) errors.push(...checked(child(path, 'name'), name, dns1123Subdomain));
      if (apiGroup !== '') errors.push(notSupported(child(path, 'apiGroup'), apiGroup, ['']));
      if (!namespaced && !namespace) errors.push(required(child(path, 'namespace')));
      return errors;
    case 'User':
    case 'Group':
      if (apiGroup !== RBAC) errors.push(notSupported(child(path, 'apiGroup'), apiGroup, [RBAC]));
      return errors;
    default:
      return [...errors, notSupported(child(path, 'kind'), kind ?? '', ['ServiceAccount', 'User', 'Group'])];
  }
}

/** What a binding refers to is for ever: another role is another binding. */
export function validateBindingUpdate(binding: Binding, old: Binding): FieldError[] {
  if (sameJson(binding.roleRef, old.roleRef)) return [];
  const { apiGroup: APIGroup, kind: Kind, name: Name } = binding.roleRef;
  return [invalid('roleRef', { APIGroup, Kind, Name }, 'cannot change roleRef')];
}

const subjectsOf = (binding: Binding, kind: string): string =>
  (binding.subjects ?? [])
    .filter((subject) => subject.kind === kind)
    .map(({ namespace, name }) => (kind === 'ServiceAccount' ? `${namespace ?? ''}/${name}` : name))
    .join(', ');

const subjectColumn = (name: string, kind: string, description: string): Column<any> => ({
  name,
  type: 'string',
  priority: 1,
  description,
  cell: (binding: Binding) => subjectsOf(binding, kind),
});

export const bindingColumns: Column<any>[] = [
  nameColumn,
  {
    name: 'Role',
    type: 'string',
    description: 'The role that is granted.',
    cell: ({ roleRef }: Binding) => `${roleRef.kind}/${roleRef.name}`,
  },
  ageColumn,
  subjectColumn('Users', 'User', 'Users that the role is granted to.'),
  subjectColumn('Groups', 'Group', 'Groups that the role is granted to.'),
  subjectColumn('ServiceAccounts', 'ServiceAccount', 'Service accounts that the role is granted to.'),
];
