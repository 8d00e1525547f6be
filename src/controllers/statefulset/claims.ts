/** The PersistentVolumeClaims of a StatefulSet's pods, and who owns them (KEP-1847). */
import type { OwnerReference, PersistentVolumeClaim, Pod, StatefulSet } from '#types';
import { isReason } from '../../api/machinery/status.js';
import { deepFreeze } from '../../api/machinery/types.js';
import { sameJson } from '../../api/machinery/validation.js';
import type { Resource } from '../../api/resources/define.js';
import { findResource } from '../../api/resources/index.js';
import type { Context } from '../context.js';
import { claimName, ordinalOf, podName, startOrdinal } from './identity.js';

/** The claims that the pod of one ordinal needs, as they are created. */
export function claimsOf(set: StatefulSet, ordinal: number): PersistentVolumeClaim[] {
  return (set.spec.volumeClaimTemplates ?? []).map(
    ({ metadata, spec }) =>
      deepFreeze({
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: {
          ...(metadata.annotations ? { annotations: { ...metadata.annotations } } : {}),
          name: claimName(set, metadata.name, ordinal),
          namespace: set.metadata.namespace,
          labels: { ...metadata.labels, ...set.spec.selector.matchLabels },
        },
        spec,
      }) as unknown as PersistentVolumeClaim,
  );
}

/**
 * The owners that a claim should have by the retention policy, those of others kept. Only a pod that is
 * condemned owns its claim: it takes it along.
 */
export function claimOwners(set: StatefulSet, pod: Pod, present: OwnerReference[] = []): OwnerReference[] {
  const { whenDeleted, whenScaled } = set.spec.persistentVolumeClaimRetentionPolicy ?? {};
  const ordinal = ordinalOf(set, pod) ?? 0;
  const isCondemned = ordinal < startOrdinal(set) || ordinal >= startOrdinal(set) + (set.spec.replicas ?? 1);
  const owned = (kind: string) => (ref: OwnerReference) => ref.kind === kind;
  const others = present.filter(
    (ref) => ref.uid !== set.metadata.uid && !(owned('Pod')(ref) && ref.name === podName(set, ordinal)),
  );
  const setRef = {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    name: set.metadata.name,
    uid: set.metadata.uid!,
  };
  const podRef = { apiVersion: 'v1', kind: 'Pod', name: pod.metadata.name, uid: pod.metadata.uid! };
  if (isCondemned && whenScaled === 'Delete') return [...others, podRef];
  return whenDeleted === 'Delete' ? [...others, controller(setRef)] : others;
}

const controller = (ref: OwnerReference): OwnerReference => ({
  ...ref,
  controller: true,
  blockOwnerDeletion: true,
});

/** Reads and writes claims; does nothing where the API has none. */
export class Claims {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  get #resource(): Resource<PersistentVolumeClaim> | undefined {
    return findResource('', 'v1', 'persistentvolumeclaims') as Resource<any> | undefined;
  }

  /** Creates those that are missing. Rejects, after an event, when one is refused. */
  async ensure(set: StatefulSet, ordinal: number): Promise<void> {
    const resource = this.#resource;
    if (resource === undefined) return;
    for (const claim of claimsOf(set, ordinal)) {
      const { name } = claim.metadata;
      const what = `Claim ${name} Pod ${podName(set, ordinal)} in StatefulSet ${set.metadata.name}`;
      if (await this.#find(resource, claim)) continue;
      try {
        await this.#context.client.of(resource).create(claim);
        this.#context.events.event(set, 'Normal', 'SuccessfulCreate', `create ${what} success`);
      } catch (error) {
        if (isReason(error, 'AlreadyExists')) continue;
        const why = (error as Error).message;
        this.#context.events.event(set, 'Warning', 'FailedCreate', `create ${what} failed error: ${why}`);
        throw error;
      }
    }
  }

  /** Makes the owners of the pod's claims what the retention policy says. */
  async own(set: StatefulSet, pod: Pod): Promise<void> {
    const resource = this.#resource;
    if (resource === undefined) return;
    for (const wanted of claimsOf(set, ordinalOf(set, pod) ?? 0)) {
      const claim = await this.#find(resource, wanted);
      if (claim === undefined) continue;
      const { namespace = '', name, ownerReferences, uid, resourceVersion } = claim.metadata;
      const owners = claimOwners(set, pod, ownerReferences);
      if (sameJson(owners, ownerReferences)) continue;
      const patch = { metadata: { uid, resourceVersion, ownerReferences: owners } };
      await this.#context.client.of(resource).patch(namespace, name, patch, { type: 'merge' });
    }
  }

  async #find(
    resource: Resource<PersistentVolumeClaim>,
    { metadata }: PersistentVolumeClaim,
  ): Promise<PersistentVolumeClaim | undefined> {
    try {
      return await this.#context.client.of(resource).get(metadata.namespace ?? '', metadata.name);
    } catch (error) {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }
}
