/** Roles and bindings by whom they are for, kept from the store's events. */
import type { ClusterRole, ClusterRoleBinding, PolicyRule, RbacV1Subject, Role, RoleBinding } from '#types';
import type { KubeObject } from '../../api/machinery/types.js';
import type { Key } from '../../store/store.js';
import type { User } from '../user.js';

const GROUP = 'rbac.authorization.k8s.io';
/** Every object of RBAC is stored below this. */
export const RBAC_PREFIX = `${GROUP}/`;

type Binding = RoleBinding | ClusterRoleBinding;

/** A subject of a binding that a user is, with what the binding gives. */
export interface Grant {
  binding: Binding;
  subject: RbacV1Subject;
}

/** The user or group that a subject stands for; undefined for one that stands for nobody. */
function subjectKey({ kind, name, namespace }: RbacV1Subject, bindingNamespace: string): string | undefined {
  switch (kind) {
    case 'User':
      return `User ${name}`;
    case 'Group':
      return `Group ${name}`;
    case 'ServiceAccount': {
      const home = namespace || bindingNamespace;
      return home ? `User system:serviceaccount:${home}:${name}` : undefined;
    }
    default:
      return undefined;
  }
}

/** Binding's store key → grant. */
type Grants = Map<Key, Grant>;

export class RbacIndex {
  readonly #rules = new Map<Key, PolicyRule[]>();
  readonly #objects = new Map<Key, Binding>();
  /** Namespace, or '' for the whole cluster → subject → grants. */
  readonly #bySubject = new Map<string, Map<string, Grants>>();

  put(key: Key, object: KubeObject): void {
    if (object.kind === 'Role' || object.kind === 'ClusterRole') {
      this.#rules.set(key, (object as Role | ClusterRole).rules ?? []);
      return;
    }
    this.#unbind(key);
    if (object.kind === 'RoleBinding' || object.kind === 'ClusterRoleBinding')
      this.#bind(key, object as unknown as Binding);
  }

  remove(key: Key): void {
    this.#rules.delete(key);
    this.#unbind(key);
  }

  /** The rules of what a binding in `namespace` refers to; undefined if there is no such role. */
  rulesOf({ roleRef }: Binding, namespace: string): PolicyRule[] | undefined {
    return this.#rules.get(
      roleRef.kind === 'Role'
        ? `${GROUP}/roles/${namespace}/${roleRef.name}`
        : `${GROUP}/clusterroles//${roleRef.name}`,
    );
  }

  /** Calls `visit` for each grant to `user` in `namespace` ('': only those of the whole cluster) until it returns true. */
  visit(user: User, namespace: string, visit: (grant: Grant) => boolean): boolean {
    return this.#visitIn('', user, visit) || (namespace !== '' && this.#visitIn(namespace, user, visit));
  }

  #visitIn(namespace: string, user: User, visit: (grant: Grant) => boolean): boolean {
    const subjects = this.#bySubject.get(namespace);
    if (!subjects) return false;
    if (visitAll(subjects.get(`User ${user.name}`), visit)) return true;
    return user.groups.some((group) => visitAll(subjects.get(`Group ${group}`), visit));
  }

  #bind(key: Key, binding: Binding): void {
    const namespace = binding.metadata.namespace ?? '';
    this.#objects.set(key, binding);
    let subjects = this.#bySubject.get(namespace);
    if (!subjects) {
      subjects = new Map();
      this.#bySubject.set(namespace, subjects);
    }
    for (const subject of binding.subjects ?? []) {
      const id = subjectKey(subject, namespace);
      if (id === undefined) continue;
      let grants = subjects.get(id);
      if (!grants) {
        grants = new Map();
        subjects.set(id, grants);
      }
      if (!grants.has(key)) grants.set(key, { binding, subject });
    }
  }

  #unbind(key: Key): void {
    const binding = this.#objects.get(key);
    if (!binding) return;
    this.#objects.delete(key);
    const namespace = binding.metadata.namespace ?? '';
    const subjects = this.#bySubject.get(namespace)!;
    for (const subject of binding.subjects ?? []) {
      const id = subjectKey(subject, namespace);
      if (id === undefined) continue;
      const grants = subjects.get(id);
      grants?.delete(key);
      if (grants?.size === 0) subjects.delete(id);
    }
    if (subjects.size === 0) this.#bySubject.delete(namespace);
  }
}

function visitAll(grants: Grants | undefined, visit: (grant: Grant) => boolean): boolean {
  if (grants) for (const grant of grants.values()) if (visit(grant)) return true;
  return false;
}
