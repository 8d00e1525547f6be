/**
 * Nobody gives rights that they do not have: roles may hold only what their writer may do, and bindings may
 * grant only such roles, unless RBAC allows `escalate` and `bind` (upstream `registry/rbac/*\/policybased`).
 * @see https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
 */
import type { ClusterRole, ClusterRoleBinding, PolicyRule, RoleBinding, RoleRef } from '#types';
import { notFound } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import { sameJson } from '../../api/machinery/validation.js';
import { compact, describeRule, quoted, uncovered } from '../../auth/policy/index.js';
import type { Authorizer } from '../../auth/user.js';
import type { Store } from '../../store/store.js';
import { type AdmissionPlugin, type AdmissionRequest, refuse } from './admission.js';

const GROUP = 'rbac.authorization.k8s.io';
const EVERYTHING: PolicyRule[] = [
  { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
  { nonResourceURLs: ['*'], verbs: ['*'] },
];

export function rbacEscalation(store: Store, authorizer: Authorizer): AdmissionPlugin {
  return {
    name: 'RBACEscalation',
    async admit(request) {
      const { resource, subresource, operation, object, user } = request;
      if (resource.group !== GROUP || subresource !== '' || !object) return;
      if (operation !== 'CREATE' && operation !== 'UPDATE') return;
      if (user.groups.includes('system:masters') || isForGc(request)) return;
      if (resource.plural === 'roles' || resource.plural === 'clusterroles')
        await checkRole(authorizer, request);
      else await checkBinding(store, authorizer, request);
    },
  };
}

/** The garbage collector may take references and finalizers away from what it could not make itself. */
function isForGc({ object, old }: AdmissionRequest): boolean {
  if (!object || !old) return false;
  const bare = (value: KubeObject): KubeObject => {
    const {
      ownerReferences: _o,
      finalizers: _f,
      managedFields: _m,
      selfLink: _s,
      ...metadata
    } = value.metadata;
    return { ...value, metadata };
  };
  return sameJson(bare(object), bare(old));
}

/** Whether the user has this verb on the role, by RBAC or any other authorizer. */
async function may(
  authorizer: Authorizer,
  { user, namespace }: AdmissionRequest,
  verb: string,
  resource: string,
  name: string,
): Promise<boolean> {
  const answer = await authorizer.authorize({
    user,
    verb,
    isResource: true,
    group: GROUP,
    version: 'v1',
    resource,
    subresource: '',
    namespace,
    name,
    path: '',
  });
  return answer.decision === 'allow';
}

async function checkRole(authorizer: Authorizer, request: AdmissionRequest): Promise<void> {
  const { resource, object, old, name } = request;
  if (await may(authorizer, request, 'escalate', resource.plural, name)) return;
  const role = object as unknown as ClusterRole;
  await confirm(authorizer, request, role.rules ?? []);
  if (!role.aggregationRule && !(old as unknown as ClusterRole | undefined)?.aggregationRule) return;
  if ((await missing(authorizer, request, EVERYTHING)).rules.length > 0)
    throw refuse(request, 'must have cluster-admin privileges to use the aggregationRule');
}

async function checkBinding(store: Store, authorizer: Authorizer, request: AdmissionRequest): Promise<void> {
  const { roleRef } = request.object as unknown as RoleBinding | ClusterRoleBinding;
  const plural = roleRef.kind === 'Role' ? 'roles' : 'clusterroles';
  if (await may(authorizer, request, 'bind', plural, roleRef.name)) return;
  await confirm(authorizer, request, rulesOf(store, roleRef, request.namespace));
}

function rulesOf(store: Store, { kind, name }: RoleRef, namespace: string): PolicyRule[] {
  const [plural, home] = kind === 'Role' ? ['roles', namespace] : ['clusterroles', ''];
  const role = store.get(`${GROUP}/${plural}/${home}/${name}`)?.object;
  if (!role) throw notFound({ group: GROUP, resource: kind === 'Role' ? 'role' : 'clusterrole' }, name);
  return role['rules'] ?? [];
}

async function missing(authorizer: Authorizer, { user, namespace }: AdmissionRequest, rules: PolicyRule[]) {
  const owned = await authorizer.rulesFor?.(user, namespace);
  return { rules: uncovered(owned?.rules ?? [], rules), errors: owned?.errors ?? [] };
}

/** Throws 403 unless the user has all of `rules`. */
async function confirm(
  authorizer: Authorizer,
  request: AdmissionRequest,
  rules: PolicyRule[],
): Promise<void> {
  const lacking = await missing(authorizer, request, rules);
  if (lacking.rules.length === 0) return;
  const { name, groups } = request.user;
  const texts = [...new Set(compact(lacking.rules).map(describeRule))].sort();
  const errors = lacking.errors.length > 0 ? `; resolution errors: [${lacking.errors.join(', ')}]` : '';
  throw refuse(
    request,
    `user ${JSON.stringify(name)} (groups=${quoted(groups)}) is attempting to grant RBAC permissions not currently held:\n${texts.join('\n')}${errors}`,
  );
}
