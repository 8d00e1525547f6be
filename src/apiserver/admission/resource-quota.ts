/**
 * ResourceQuota: nothing new beyond a namespace's quotas. What is admitted is booked in their
 * status together with the object's own commit; the controller corrects it by what there really is.
 * @see https://kubernetes.io/docs/concepts/policy/resource-quotas/
 */
import type { Container, Pod, ResourceQuota } from '#types';
import { addQuantities, compareQuantities, subtractQuantities } from '../../api/machinery/quantity.js';
import { produce } from '../../api/machinery/types.js';
import { quotaCovers, scopeFacts } from '../../api/quota/scopes.js';
import { type Amounts, usageOf } from '../../api/quota/usage.js';
import type { Store, Stored, Write } from '../../store/store.js';
import { type AdmissionPlugin, type AdmissionRequest, isResize, refuse } from './admission.js';

/** Kinds whose usage an update can change. */
const GROWING = new Set(['persistentvolumeclaims', 'services']);

export function resourceQuota(store: Store): AdmissionPlugin {
  return {
    name: 'ResourceQuota',
    async validate(request) {
      if (!counts(request)) return;
      const book = async (): Promise<Write[]> => {
        const { items } = await store.list(`core/resourcequotas/${request.namespace}/`);
        return items.flatMap((stored) => bookIn(request, stored) ?? []);
      };
      await book();
      request.bookings?.push(book);
    },
  };
}

function counts(request: AdmissionRequest): boolean {
  const { resource, operation, subresource, object, old } = request;
  if (!resource.namespaced || !object || resource.plural === 'events') return false;
  if (isResize(request)) return true;
  if (subresource !== '') return false;
  if (operation !== 'UPDATE' || !old) return operation === 'CREATE';
  if (resource.group !== '') return false;
  const isMoved = scopeFacts(resource, object) !== scopeFacts(resource, old);
  return GROWING.has(resource.plural) || (resource.plural === 'pods' && isMoved);
}

/** What the object adds to a quota, as a write of its status; undefined where it adds nothing. Throws 403 beyond it. */
function bookIn(request: AdmissionRequest, { key, object, revision }: Stored): Write | undefined {
  const quota = object as unknown as ResourceQuota;
  const hard = quota.status?.hard ?? {};
  const names = Object.keys(hard);
  if (names.length === 0 || !quotaCovers(quota, request.resource, request.object!)) return undefined;
  if (request.resource.plural === 'pods' && request.resource.group === '')
    requireAmounts(request, quota, names);
  const used = quota.status?.used ?? {};
  const wasCounted = request.old !== undefined && quotaCovers(quota, request.resource, request.old);
  const added = addedBy(request, names, wasCounted);
  const grown = Object.keys(added).sort();
  if (grown.length === 0) return undefined;
  const next = Object.fromEntries(grown.map((name) => [name, addQuantities(used[name], added[name])]));
  const exceeded = grown.filter(
    (name) => compareQuantities(added[name], 0) > 0 && compareQuantities(next[name], hard[name]) > 0,
  );
  if (exceeded.length > 0) {
    const list = (amounts: Amounts) => exceeded.map((name) => `${name}=${amounts[name] ?? '0'}`).join(',');
    throw refuse(
      request,
      `exceeded quota: ${quota.metadata.name}, requested: ${list(added)}, used: ${list(used)}, limited: ${list(hard)}`,
    );
  }
  return {
    key,
    expected: revision,
    object: produce(object, (draft) => {
      draft['status'] = { ...draft['status'], used: { ...used, ...next } };
    }),
  };
}

/** The change of usage, of what is not 0. An object that comes into a quota's scopes adds all that it has. */
function addedBy({ resource, object, old }: AdmissionRequest, names: string[], wasCounted: boolean): Amounts {
  const after = usageOf(resource, object!);
  const before = wasCounted ? usageOf(resource, old!) : {};
  return Object.fromEntries(
    names
      .map((name): [string, string] => [name, subtractQuantities(after[name], before[name])])
      .filter(([, change]) => change !== '0'),
  );
}

const COMPUTE = /^(?:(requests|limits)\.)?(cpu|memory|ephemeral-storage)$/;

/** Where amounts of a resource are limited, every container must say its own. */
function requireAmounts(request: AdmissionRequest, quota: ResourceQuota, names: string[]): void {
  const { spec } = request.object as unknown as Pod;
  const containers = [...(spec.containers ?? []), ...(spec.initContainers ?? [])];
  const missing = names
    .filter((name) => COMPUTE.test(name) && !spec.resources)
    .sort()
    .flatMap((name) => {
      const lacking = containers.filter((container) => !says(container, name)).map((c) => c.name);
      return lacking.length > 0 ? [`${name} for: ${lacking.sort().join(',')}`] : [];
    });
  if (missing.length > 0)
    throw refuse(request, `failed quota: ${quota.metadata.name}: must specify ${missing.join('; ')}`);
}

function says({ resources }: Container, name: string): boolean {
  const [, which, resource = ''] = COMPUTE.exec(name)!;
  return (which === 'limits' ? resources?.limits : resources?.requests)?.[resource] !== undefined;
}
