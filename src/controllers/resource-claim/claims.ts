/** Keeps the status of a claim true: who uses it, and whether it has to keep its devices. */
import type { Pod, ResourceV1ResourceClaim as ResourceClaim } from '#types';
import { isReason } from '../../api/machinery/status.js';
import { produce } from '../../api/machinery/types.js';
import { pods, resourceClaims } from '../../api/resources/index.js';
import { CLAIM_FINALIZER } from '../../api/resources/resource/pod-claims.js';
import type { Informer } from '../../client/index.js';
import type { Context } from '../context.js';
import { isPodTerminal } from '../pods.js';

export class ClaimKeeper {
  constructor(
    private readonly context: Context,
    private readonly pods: Informer<Pod>,
  ) {}

  async reconcile(claim: ResourceClaim): Promise<void> {
    const users = claim.status?.reservedFor ?? [];
    const kept = [];
    for (const user of users)
      if (user.apiGroup || user.resource !== 'pods' || (await this.#uses(claim, user.name, user.uid)))
        kept.push(user);
    const isFinal = claim.metadata.finalizers?.includes(CLAIM_FINALIZER) ?? false;
    const isOver =
      kept.length === 0 && isFinal && (users.length > 0 || claim.metadata.deletionTimestamp !== undefined);
    if (kept.length < users.length || (isOver && claim.status?.allocation)) {
      const { reservedFor: _, allocation, ...rest } = claim.status ?? {};
      const status = {
        ...rest,
        ...(allocation && !isOver ? { allocation } : {}),
        ...(kept.length > 0 ? { reservedFor: kept } : {}),
      };
      claim = await this.#api.update({ ...claim, status }, { subresource: 'status' });
    }
    if (isOver) await this.#release(claim);
    if (kept.length === 0) await this.#deleteUnowned(claim);
  }

  get #api() {
    return this.context.client.of(resourceClaims);
  }

  /** Nothing keeps it any more. */
  async #release(claim: ResourceClaim): Promise<void> {
    await this.#api.update(
      produce(claim, (draft) => {
        draft.metadata.finalizers = (draft.metadata.finalizers ?? []).filter((f) => f !== CLAIM_FINALIZER);
      }),
    );
  }

  /** A claim of a template ends with the pod that it was made for, even where that stays in the API. */
  async #deleteUnowned({ metadata }: ResourceClaim): Promise<void> {
    const owner = metadata.ownerReferences?.find(({ kind, controller }) => kind === 'Pod' && controller);
    if (!owner || metadata.deletionTimestamp) return;
    const pod = this.pods.get(`${metadata.namespace}/${owner.name}`);
    if (!pod || pod.metadata.uid !== owner.uid || !isDone(pod)) return;
    await this.#api
      .delete(metadata.namespace ?? '', metadata.name, { preconditions: { uid: metadata.uid } })
      .catch((error: unknown) => {
        if (!isReason(error, 'NotFound')) throw error;
      });
  }

  async #uses({ metadata }: ResourceClaim, name: string, uid: string): Promise<boolean> {
    const namespace = metadata.namespace ?? '';
    let pod = this.pods.get(`${namespace}/${name}`);
    // Its creation may not have come here yet.
    if (pod?.metadata.uid !== uid)
      pod = await this.context.client
        .of(pods)
        .get(namespace, name)
        .catch((error: unknown) => {
          if (isReason(error, 'NotFound')) return undefined;
          throw error;
        });
    return pod?.metadata.uid === uid && !isDone(pod);
  }
}

/** It will not use its devices any more. */
const isDone = (pod: Pod): boolean =>
  isPodTerminal(pod) || (pod.metadata.deletionTimestamp !== undefined && !pod.spec.nodeName);
