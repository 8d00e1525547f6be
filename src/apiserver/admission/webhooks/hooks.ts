/** The webhooks of all configurations, in the order in which they are called. */
import type { MutatingWebhook, ValidatingWebhook } from '#types';
import type { Store } from '../../../store/store.js';
import { type Conditions, compileConditions } from '../policy/conditions.js';

export interface Hook {
  configuration: string;
  webhook: MutatingWebhook | ValidatingWebhook;
  conditions: Conditions;
  /** Distinguishes webhooks of one name. */
  uid: string;
}

const compiled = new WeakMap<object, Hook[]>();

/** By the name of their configuration, then as that lists them. Reads what is committed: no cache has to catch up. */
export async function listHooks(store: Store, plural: string): Promise<Hook[]> {
  const { items } = await store.list(`admissionregistration.k8s.io/${plural}//`);
  return items.flatMap(({ object }) => {
    const known = compiled.get(object);
    if (known) return known;
    const webhooks = (object['webhooks'] ?? []) as (MutatingWebhook | ValidatingWebhook)[];
    const hooks = webhooks.map((webhook, i) => ({
      configuration: object.metadata.name,
      webhook,
      conditions: compileConditions(webhook.matchConditions ?? []),
      uid: `${object.metadata.name}/${webhook.name}/${i}`,
    }));
    compiled.set(object, hooks);
    return hooks;
  });
}
