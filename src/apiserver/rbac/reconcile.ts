/**
 * Writes the default policy: what is missing is made, what lacks rules or subjects gets them, and what says
 * `autoupdate: "false"` is left as it is (upstream `poststarthook/rbac/bootstrap-roles`).
 */
import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from '#types';
import { isReason } from '../../api/machinery/status.js';
import { objectKey } from '../../api/machinery/types.js';
import { sameJson } from '../../api/machinery/validation.js';
import type { Resource } from '../../api/resources/define.js';
import { clusterRoleBindings, clusterRoles, roleBindings, roles } from '../../api/resources/index.js';
import {
  controllerRoles,
  defaultClusterRoleBindings,
  defaultClusterRoles,
  defaultRoleBindings,
  defaultRoles,
  uncovered,
} from '../../auth/policy/index.js';
import { Client } from '../../client/client.js';
import type { Transport } from '../../client/transport.js';

const AUTO_UPDATE = 'rbac.authorization.kubernetes.io/autoupdate';

type AnyRole = Role | ClusterRole;
type AnyBinding = RoleBinding | ClusterRoleBinding;

/** The namespaces of the policy's roles exist already. Conflicts with other writers are left to the next start. */
export async function reconcilePolicy(transport: Transport): Promise<void> {
  const client = new Client(transport);
  await Promise.all([
    reconcile(client, clusterRoles, [...defaultClusterRoles(), ...controllerRoles()], nextRole),
    reconcile(client, roles, defaultRoles(), nextRole),
    reconcile(client, clusterRoleBindings, defaultClusterRoleBindings(), nextBinding),
    reconcile(client, roleBindings, defaultRoleBindings(), nextBinding),
  ]);
}

async function reconcile<T extends AnyRole | AnyBinding>(
  client: Client,
  resource: Resource<any>,
  wanted: T[],
  next: (existing: T, wanted: T) => T,
): Promise<void> {
  const of = client.of<any>(resource);
  const { items } = await of.list();
  const existing = new Map<string, T>(items.map((item) => [objectKey(item), item]));
  await Promise.all(
    wanted.map(async (object) => {
      const found = existing.get(objectKey(object));
      try {
        if (found === undefined) await of.create(object);
        else if (found.metadata.annotations?.[AUTO_UPDATE] !== 'false') await replace(found, object);
      } catch (error) {
        if (!isReason(error, 'AlreadyExists') && !isReason(error, 'Conflict') && !isReason(error, 'NotFound'))
          throw error;
      }
    }),
  );

  async function replace(found: T, object: T): Promise<void> {
    if ('roleRef' in found && 'roleRef' in object && !sameJson(found.roleRef, object.roleRef)) {
      const { namespace = '', name, uid } = found.metadata;
      await of.delete(namespace, name, { preconditions: { uid } });
      await of.create(object);
      return;
    }
    const changed = next(found, object);
    if (!sameJson(changed, found)) await of.update(changed);
  }
}

/** Labels and annotations of both; those of the policy win. */
const mergedMeta = <T extends AnyRole | AnyBinding>(existing: T, wanted: T) => ({
  ...existing.metadata,
  labels: { ...existing.metadata.labels, ...wanted.metadata.labels },
  annotations: { ...existing.metadata.annotations, ...wanted.metadata.annotations },
});

/** The stored role with what it lacks of the wanted one's rules. */
export function nextRole<T extends AnyRole>(existing: T, wanted: T): T {
  const rules = [...(existing.rules ?? []), ...uncovered(existing.rules ?? [], wanted.rules ?? [])];
  const next = { ...existing, metadata: mergedMeta(existing, wanted), rules };
  if (!('aggregationRule' in wanted)) return next;
  const before = ('aggregationRule' in existing && existing.aggregationRule?.clusterRoleSelectors) || [];
  const missing = (wanted.aggregationRule?.clusterRoleSelectors ?? []).filter(
    (selector) => !before.some((known) => sameJson(known, selector)),
  );
  return { ...next, aggregationRule: { clusterRoleSelectors: [...before, ...missing] } };
}

/** The stored binding with the subjects that it lacks. */
export function nextBinding<T extends AnyBinding>(existing: T, wanted: T): T {
  const before = existing.subjects ?? [];
  const missing = (wanted.subjects ?? []).filter(
    (subject) => !before.some((known) => sameJson(known, subject)),
  );
  const subjects = [...before, ...missing];
  return {
    ...existing,
    metadata: mergedMeta(existing, wanted),
    ...(subjects.length > 0 ? { subjects } : {}),
  };
}
