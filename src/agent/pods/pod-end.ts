/** Why and how one pod comes to its end: deleted or forgotten by the API, failed by its node, past its deadline. */
import type { Container, Pod } from '#types';

const DEFAULT_GRACE_S = 30;

export interface PodFailure {
  reason: string;
  message: string;
  /** The node did not take it: nothing of it has been. */
  isRejection?: boolean;
  /** The node needed what it had: it is a target of a disruption. */
  disrupts?: boolean;
}

export class PodEnd {
  /** The API does not know the pod any more: nobody is to be told. */
  forgotten = false;
  #failure: PodFailure | undefined;
  /** Seconds that its containers have, where the node ends it. */
  #graceSeconds: number | undefined;

  constructor(private readonly of: { readonly pod: Pod }) {}

  get isDeleted(): boolean {
    return this.forgotten || this.of.pod.metadata.deletionTimestamp !== undefined;
  }

  get terminating(): boolean {
    return this.isDeleted || this.#failure !== undefined;
  }

  /** Why the node has failed it. */
  get failure(): PodFailure | undefined {
    return this.#failure;
  }

  fail(failure: PodFailure, graceSeconds?: number): void {
    this.#failure = failure;
    this.#graceSeconds = graceSeconds;
  }

  /** Milliseconds that a container has to end, which is stopped for this reason. */
  grace(container: Container, reason: string): number {
    const { spec, metadata } = this.of.pod;
    const probe = /failed (liveness|startup) probe/.exec(reason)?.[1] as 'liveness' | 'startup' | undefined;
    const ofProbe = probe && container[`${probe}Probe`]?.terminationGracePeriodSeconds;
    const own = ofProbe ?? spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_S;
    return (metadata.deletionGracePeriodSeconds ?? this.#graceSeconds ?? own) * 1000;
  }
}
