/** Who has the default roles, and the roles of the system's own namespaces. */
import type { ClusterRoleBinding, PolicyRule, RbacV1Subject, Role, RoleBinding } from '#types';
import { controllerNames } from './controllers.js';
import { allow, defaultMeta, EVENTS, READ } from './rule.js';

const apiGroup = 'rbac.authorization.k8s.io';
const apiVersion = `${apiGroup}/v1`;
const user = (name: string): RbacV1Subject => ({ apiGroup, kind: 'User', name });
const group = (name: string): RbacV1Subject => ({ apiGroup, kind: 'Group', name });
const account = (name: string): RbacV1Subject => ({ kind: 'ServiceAccount', name, namespace: 'kube-system' });

const AUTHENTICATED = group('system:authenticated');
const SCHEDULER = user('system:kube-scheduler');
const MANAGER = user('system:kube-controller-manager');

/** Role → subjects; the binding has the role's name. */
const SUBJECTS: [string, RbacV1Subject[]][] = [
  ['cluster-admin', [group('system:masters')]],
  ['system:monitoring', [group('system:monitoring')]],
  ['system:discovery', [AUTHENTICATED]],
  ['system:basic-user', [AUTHENTICATED]],
  ['system:public-info-viewer', [AUTHENTICATED, group('system:unauthenticated')]],
  ['system:node-proxier', [user('system:kube-proxy')]],
  ['system:kube-controller-manager', [MANAGER]],
  ['system:kube-dns', [account('kube-dns')]],
  ['system:kube-scheduler', [SCHEDULER]],
  ['system:volume-scheduler', [SCHEDULER]],
  // Nodes have an authorizer of their own.
  ['system:node', []],
  ['system:service-account-issuer-discovery', [group('system:serviceaccounts')]],
];

export const defaultClusterRoleBindings = (): ClusterRoleBinding[] =>
  [
    ...SUBJECTS,
    ...controllerNames.map((name): [string, RbacV1Subject[]] => [
      `system:controller:${name}`,
      [account(name)],
    ]),
  ].map(([name, subjects]) => ({
    apiVersion,
    kind: 'ClusterRoleBinding',
    metadata: defaultMeta(name),
    roleRef: { apiGroup, kind: 'ClusterRole', name },
    ...(subjects.length > 0 ? { subjects } : {}),
  }));

interface NamespacedGrant {
  namespace: string;
  role: string;
  binding: string;
  rules: PolicyRule[];
  subjects: RbacV1Subject[];
}

const READER = 'extension-apiserver-authentication-reader';
const SIGNER = 'system:controller:bootstrap-signer';
const CLEANER = 'system:controller:token-cleaner';

const leader = (component: string, subject: RbacV1Subject): NamespacedGrant => ({
  namespace: 'kube-system',
  role: `system::leader-locking-${component}`,
  binding: `system::leader-locking-${component}`,
  rules: [allow('watch', 'core', 'configmaps'), allow('get update', 'core', 'configmaps', component)],
  subjects: [subject, account(component)],
});

const GRANTS: NamespacedGrant[] = [
  {
    namespace: 'kube-system',
    role: READER,
    binding: `system::${READER}`,
    rules: [allow(READ, 'core', 'configmaps', 'extension-apiserver-authentication')],
    subjects: [MANAGER, SCHEDULER],
  },
  leader('kube-controller-manager', MANAGER),
  leader('kube-scheduler', SCHEDULER),
  {
    namespace: 'kube-system',
    role: SIGNER,
    binding: SIGNER,
    rules: [allow(READ, 'core', 'secrets')],
    subjects: [account('bootstrap-signer')],
  },
  {
    namespace: 'kube-system',
    role: CLEANER,
    binding: CLEANER,
    rules: [allow(`${READ} delete`, 'core', 'secrets'), EVENTS],
    subjects: [account('token-cleaner')],
  },
  {
    namespace: 'kube-public',
    role: SIGNER,
    binding: SIGNER,
    rules: [allow(READ, 'core', 'configmaps'), allow('update', 'core', 'configmaps', 'cluster-info'), EVENTS],
    subjects: [account('bootstrap-signer')],
  },
];

export const defaultRoles = (): Role[] =>
  GRANTS.map(({ namespace, role, rules }) => ({
    apiVersion,
    kind: 'Role',
    metadata: { ...defaultMeta(role), namespace },
    rules,
  }));

export const defaultRoleBindings = (): RoleBinding[] =>
  GRANTS.map(({ namespace, role, binding, subjects }) => ({
    apiVersion,
    kind: 'RoleBinding',
    metadata: { ...defaultMeta(binding), namespace },
    roleRef: { apiGroup, kind: 'Role', name: role },
    subjects,
  }));
