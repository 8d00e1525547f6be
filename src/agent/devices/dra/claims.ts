/** Claims of the node's pods: prepared by their drivers before a pod starts, and given back after its end (kubelet `cm/dra`). */
import type { Container, Pod, ResourceV1ResourceClaim as ResourceClaim } from '#types';
import { claimNameFor, isReservedFor, whyNotFor } from '../../../api/resources/resource/pod-claims.js';
import type { DraDevice } from '../../../rpc/dra.js';
import type { DraDrivers } from './drivers.js';
import { type PreparedClaim, readClaims, writeClaims } from './state.js';

export interface DraClaimsOptions {
  drivers: DraDrivers;
  /** Where the node keeps what is prepared. */
  file: string;
  /** As the API has it. */
  get(namespace: string, name: string): Promise<ResourceClaim>;
}

export interface ClaimDevices {
  claim: PreparedClaim;
  driver: string;
  devices: DraDevice[];
}

export class DraClaims {
  /** By UID. */
  readonly #claims = new Map<string, PreparedClaim>();
  /** What is done for a claim, one after the other. */
  readonly #locks = new Map<string, Promise<unknown>>();
  #writing: Promise<void> = Promise.resolve();

  constructor(private readonly options: DraClaimsOptions) {}

  async recover(): Promise<void> {
    for (const claim of await readClaims(this.options.file)) this.#claims.set(claim.uid, claim);
  }

  /** Whether the pod has claims that must be given back. */
  holds(pod: string): boolean {
    return this.#of(pod).length > 0;
  }

  /** Makes the pod's devices ready. Idempotent. Rejects while one is not. */
  async prepare(pod: Pod): Promise<void> {
    for (const one of pod.spec.resourceClaims ?? []) {
      const { name, isOwn } = claimNameFor(pod, one);
      if (name === undefined) continue;
      const claim = await this.options.get(pod.metadata.namespace ?? '', name);
      const why = isOwn && whyNotFor(pod, claim);
      if (why) throw new Error(why);
      if (!isReservedFor(pod, claim))
        throw new Error(
          `pod ${pod.metadata.name}(${pod.metadata.uid}) is not allowed to use ResourceClaim ${name}(${claim.metadata.uid})`,
        );
      await this.#locked(claim.metadata.uid!, () => this.#prepare(pod, claim));
    }
  }

  /** Gives back what no other pod uses. Rejects while a driver does not do its part. */
  async unprepare(pod: string): Promise<void> {
    for (const claim of this.#of(pod)) await this.#locked(claim.uid, () => this.#unprepare(pod, claim));
  }

  /** UIDs of the pods that have claims here. */
  users(): string[] {
    return [...new Set([...this.#claims.values()].flatMap(({ pods }) => pods))];
  }

  /** The devices that a container asks for, by claim and driver. */
  devicesOf(pod: Pod, { resources }: Container): ClaimDevices[] {
    return (resources?.claims ?? []).flatMap(({ name, request }) => {
      const one = pod.spec.resourceClaims?.find((claim) => claim.name === name);
      const made = pod.status?.resourceClaimStatuses?.find((claim) => claim.name === name);
      const claimName = one?.resourceClaimName ?? made?.resourceClaimName;
      const claim = this.#of(pod.metadata.uid!).find((known) => known.name === claimName);
      return Object.entries(claim?.drivers ?? {}).map(([driver, all]) => ({
        claim: claim!,
        driver,
        devices: (all ?? []).filter(({ requestNames }) => !request || isFor(requestNames ?? [], request)),
      }));
    });
  }

  async #prepare(pod: Pod, { metadata, status }: ResourceClaim): Promise<void> {
    const { uid = '', namespace = '', name } = metadata;
    const results = status?.allocation?.devices?.results ?? [];
    const names = [...new Set(results.map(({ driver }) => driver))];
    const known = this.#claims.get(uid) ?? { uid, namespace, name, pods: [], drivers: {} };
    this.#claims.set(uid, known);
    if (!known.pods.includes(pod.metadata.uid!)) known.pods.push(pod.metadata.uid!);
    // Noted before: what a driver has begun is undone also by another agent.
    for (const driver of names) known.drivers[driver] ??= null;
    await this.#write();
    for (const driver of names)
      known.drivers[driver] ??= await this.options.drivers.prepare(driver, { uid, namespace, name });
    await this.#write();
  }

  async #unprepare(pod: string, claim: PreparedClaim): Promise<void> {
    const { uid, namespace, name, pods } = claim;
    if (pods.every((other) => other === pod)) {
      for (const driver of Object.keys(claim.drivers)) {
        await this.options.drivers.unprepare(driver, { uid, namespace, name });
        delete claim.drivers[driver];
      }
      this.#claims.delete(uid);
    } else claim.pods = pods.filter((other) => other !== pod);
    await this.#write();
  }

  #of(pod: string): PreparedClaim[] {
    return [...this.#claims.values()].filter(({ pods }) => pods.includes(pod));
  }

  #write(): Promise<void> {
    this.#writing = this.#writing
      .catch(() => {})
      .then(() => writeClaims(this.options.file, [...this.#claims.values()]));
    return this.#writing;
  }

  #locked<T>(uid: string, work: () => Promise<T>): Promise<T> {
    const result = (this.#locks.get(uid) ?? Promise.resolve()).then(work, work);
    const settled = result.catch(() => {});
    this.#locks.set(uid, settled);
    void settled.then(() => this.#locks.get(uid) === settled && this.#locks.delete(uid));
    return result;
  }
}

/** A request with alternatives means whichever was chosen. */
const isFor = (names: string[], request: string): boolean =>
  names.length === 0 || names.some((name) => name === request || name.split('/')[0] === request);
