/** Keeps the status of ResourceQuotas: what they allow, and what their namespaces really use. */
import type { ResourceQuota } from '#types';
import { isReason } from '../../api/machinery/status.js';
import { type KubeObject, objectKey } from '../../api/machinery/types.js';
import { sameJson } from '../../api/machinery/validation.js';
import { quotaCovers, scopeFacts } from '../../api/quota/scopes.js';
import { type Amounts, addAmounts, usageOf } from '../../api/quota/usage.js';
import type { Resource } from '../../api/resources/define.js';
import { resourceQuotas, resources } from '../../api/resources/index.js';
import type { Informer } from '../../client/index.js';
import { type Controller, type ControllersOptions, contextOf, WorkLoop } from '../context.js';
import { customKindsOf } from '../custom-kinds.js';

/** Usage is told once after many changes at the same time. */
const GATHER_MS = 100;
const BY_NAMESPACE = 'namespace';

export function startResourceQuotaController(options: ControllersOptions): Controller {
  const context = contextOf(options, 'resourcequota-controller');
  const quotas = context.informers.of(resourceQuotas, {
    indexes: { [BY_NAMESPACE]: ({ metadata }) => [metadata.namespace ?? ''] },
  });
  const indexes = { [BY_NAMESPACE]: ({ metadata }: KubeObject) => [metadata.namespace ?? ''] };
  const counted = countedResources().map((resource) => ({
    resource,
    informer: context.informers.of(resource, { indexes }) as Informer<KubeObject>,
  }));

  const reconcile = async (key: string): Promise<void> => {
    const quota = quotas.get(key);
    if (!quota) return;
    const hard = quota.spec.hard ?? {};
    const status = { hard, used: usedBy(quota, Object.keys(hard).sort(), counted) };
    if (sameJson(status, quota.status)) return;
    try {
      await context.client.of(resourceQuotas).updateStatus({ ...quota, status });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  };

  const synced = [quotas.synced, ...counted.map(({ informer }) => informer.synced)];
  const loop = new WorkLoop(context, synced, reconcile, 2);
  const changed = ({ metadata }: KubeObject) => {
    for (const quota of quotas.byIndex(BY_NAMESPACE, metadata.namespace ?? ''))
      loop.queue.addAfter(objectKey(quota), GATHER_MS);
  };
  const now = (quota: ResourceQuota) => loop.queue.add(objectKey(quota));
  loop.onClose(
    quotas.on({
      added: now,
      updated: (old, quota) => {
        if (!sameJson(old.spec, quota.spec)) now(quota);
        else changed(quota);
      },
    }),
    ...counted.map(({ resource, informer }) =>
      informer.on({
        added: changed,
        deleted: changed,
        updated: (old, object) => {
          const isMoved = scopeFacts(resource, old) !== scopeFacts(resource, object);
          if (isMoved || !sameJson(usageOf(resource, old), usageOf(resource, object))) changed(object);
        },
      }),
    ),
    customKindsOf(context.informers).follow({
      added: (resource, informer) => {
        if (!resource.namespaced) return;
        informer.addIndexes(indexes);
        counted.push({ resource, informer });
        informer.on({ added: changed, deleted: changed });
      },
      removed: (resource) => {
        const at = counted.findIndex(
          (one) =>
            one.resource.custom &&
            one.resource.plural === resource.plural &&
            one.resource.group === resource.group,
        );
        if (at >= 0) counted.splice(at, 1);
        for (const quota of quotas.list()) now(quota);
      },
    }),
  );
  return loop;
}

/** What quotas can count: everything in namespaces but Events, each kind once. */
const countedResources = (): Resource[] =>
  resources.filter(
    ({ namespaced, verbs, conversion, plural }) =>
      namespaced && !conversion && plural !== 'events' && verbs.includes('list') && verbs.includes('watch'),
  );

function usedBy(
  quota: ResourceQuota,
  names: string[],
  counted: { resource: Resource; informer: Informer<KubeObject> }[],
): Amounts {
  let used = addAmounts({}, {}, names);
  for (const { resource, informer } of counted) {
    if (!isCounted(resource, names)) continue;
    for (const object of informer.byIndex(BY_NAMESPACE, quota.metadata.namespace ?? ''))
      if (quotaCovers(quota, resource, object)) used = addAmounts(used, usageOf(resource, object), names);
  }
  return used;
}

/** Whether any of the quota's names can be about a resource. */
function isCounted({ group, plural }: Resource, names: string[]): boolean {
  if (names.includes(`count/${plural}${group === '' ? '' : `.${group}`}`)) return true;
  return group === '' && names.some((name) => !name.startsWith('count/'));
}
