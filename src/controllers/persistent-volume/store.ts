/** The volumes and claims that the binder works on, and the writes that it makes. */
import type { PersistentVolume, PersistentVolumeClaim } from '#types';
import { timestamp } from '../../api/machinery/clock.js';
import { produce } from '../../api/machinery/types.js';
import { sameJson } from '../../api/machinery/validation.js';
import { persistentVolumeClaims, persistentVolumes } from '../../api/resources/index.js';
import { ANNOTATION } from '../../api/storage/annotations.js';
import { hasAnnotation, isBindComplete, isVolumeOf } from '../../api/storage/matching.js';
import type { Context } from '../context.js';
import { Fresh } from './fresh.js';

type VolumePhase = 'Available' | 'Bound' | 'Failed' | 'Pending' | 'Released';

export class VolumeStore {
  readonly volumes: Fresh<PersistentVolume>;
  readonly claims: Fresh<PersistentVolumeClaim>;
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
    this.volumes = new Fresh(context.informers.of(persistentVolumes));
    this.claims = new Fresh(context.informers.of(persistentVolumeClaims));
  }

  close(): void {
    this.volumes.close();
    this.claims.close();
  }

  /** Makes the two each other's: first the volume is promised, then the claim is told. */
  async bind(volume: PersistentVolume, claim: PersistentVolumeClaim): Promise<void> {
    const promised = await this.#promise(volume, claim);
    const bound = await this.setPhase(promised, 'Bound');
    const told = await this.#complete(bound, claim);
    await this.#showBound(bound, told);
  }

  async setPhase(volume: PersistentVolume, phase: VolumePhase, message = ''): Promise<PersistentVolume> {
    if (volume.status?.phase === phase) return volume;
    const changed = produce(volume, (draft) => {
      draft.status = { ...draft.status, phase };
      if (message) draft.status.message = message;
      else delete draft.status.message;
      draft.status.lastPhaseTransitionTime = timestamp(this.#context.clock.now());
    });
    return this.volumes.wrote(await this.#context.client.of(persistentVolumes).updateStatus(changed));
  }

  /** Takes back what the binder has given: the whole reference, or of a user's only the UID. */
  async unbind(volume: PersistentVolume): Promise<void> {
    const changed = produce(volume, (draft) => {
      if (hasAnnotation(volume, ANNOTATION.boundByController)) {
        delete draft.spec.claimRef;
        delete draft.metadata.annotations![ANNOTATION.boundByController];
      } else if (draft.spec.claimRef) delete draft.spec.claimRef.uid;
    });
    await this.setPhase(await this.updateVolume(changed), 'Available');
  }

  async updateVolume(volume: PersistentVolume): Promise<PersistentVolume> {
    return this.volumes.wrote(await this.#context.client.of(persistentVolumes).update(volume));
  }

  async updateClaim(claim: PersistentVolumeClaim): Promise<PersistentVolumeClaim> {
    return this.claims.wrote(await this.#context.client.of(persistentVolumeClaims).update(claim));
  }

  /** A claim without a volume has neither size nor modes. */
  async setClaimPhase(
    claim: PersistentVolumeClaim,
    phase: 'Pending' | 'Lost',
  ): Promise<PersistentVolumeClaim> {
    if (claim.status?.phase === phase) return claim;
    const changed = produce(claim, (draft) => {
      const { accessModes: _, capacity: __, ...rest } = draft.status ?? {};
      draft.status = { ...rest, phase };
    });
    return this.claims.wrote(await this.#context.client.of(persistentVolumeClaims).updateStatus(changed));
  }

  async #promise(volume: PersistentVolume, claim: PersistentVolumeClaim): Promise<PersistentVolume> {
    const { name, namespace, uid, resourceVersion } = claim.metadata;
    if (volume.spec.claimRef?.uid === uid && isVolumeOf(volume, claim)) return volume;
    const changed = produce(volume, (draft) => {
      if (!isVolumeOf(volume, claim))
        draft.metadata.annotations = { ...draft.metadata.annotations, [ANNOTATION.boundByController]: 'yes' };
      const ref = { kind: 'PersistentVolumeClaim', apiVersion: 'v1', namespace, name, uid };
      draft.spec.claimRef = { ...ref, resourceVersion };
    });
    return this.updateVolume(changed);
  }

  async #complete(volume: PersistentVolume, claim: PersistentVolumeClaim): Promise<PersistentVolumeClaim> {
    const { name } = volume.metadata;
    if (claim.spec.volumeName === name && isBindComplete(claim)) return claim;
    return this.updateClaim(
      produce(claim, (draft) => {
        const annotations: Record<string, string> = { ...draft.metadata.annotations };
        annotations[ANNOTATION.bindCompleted] = 'yes';
        if (draft.spec.volumeName !== name) annotations[ANNOTATION.boundByController] = 'yes';
        draft.metadata.annotations = annotations;
        draft.spec.volumeName = name;
      }),
    );
  }

  async #showBound({ spec }: PersistentVolume, claim: PersistentVolumeClaim): Promise<void> {
    const { status = {} } = claim;
    const known = status.phase === 'Bound' ? status.capacity : undefined;
    // Later the size follows an expansion of the claim.
    const wanted = {
      ...status,
      phase: 'Bound',
      accessModes: spec.accessModes,
      capacity: known ?? spec.capacity,
      ...(spec.volumeAttributesClassName
        ? { currentVolumeAttributesClassName: spec.volumeAttributesClassName }
        : {}),
    };
    if (sameJson(wanted, status)) return;
    const changed = produce(claim, (draft) => {
      draft.status = wanted as typeof draft.status;
    });
    this.claims.wrote(await this.#context.client.of(persistentVolumeClaims).updateStatus(changed));
  }
}
