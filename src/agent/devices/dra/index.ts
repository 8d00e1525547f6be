/**
 * Dynamic resource allocation on the node, put together: drivers, the claims that they have prepared, and the
 * ResourceSlices of drivers that have gone.
 * @see https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/
 */
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { ResourceV1ResourceClaim as ResourceClaim, ResourceSlice } from '#types';
import type { Clock } from '../../../api/machinery/clock.js';
import type { KubeObject } from '../../../api/machinery/types.js';
import type { Client, ResourceRef } from '../../../client/client.js';
import { DraClaims } from './claims.js';
import { DraDrivers } from './drivers.js';

const GROUP = { group: 'resource.k8s.io', version: 'v1', apiVersion: 'resource.k8s.io/v1' };
const CLAIMS: ResourceRef<ResourceClaim & KubeObject> = {
  ...{ ...GROUP, plural: 'resourceclaims', kind: 'ResourceClaim', namespaced: true },
};
const SLICES: ResourceRef<ResourceSlice & KubeObject> = {
  ...{ ...GROUP, plural: 'resourceslices', kind: 'ResourceSlice', namespaced: false },
};
/** A driver may be on its way back. */
const WIPING_MS = 30_000;
const RETRY_MS = 5000;

export interface DraOptions {
  node: string;
  /** The kubelet's folder. */
  root: string;
  client: Client;
  clock: Clock;
  logger: Logger;
}

export class Dra {
  readonly drivers: DraDrivers;
  readonly claims: DraClaims;
  readonly #options: DraOptions;
  readonly #cancels = new Map<string, () => void>();
  #closed = false;

  constructor(options: DraOptions) {
    this.#options = options;
    const { root, client } = options;
    this.drivers = new DraDrivers(
      (driver) => this.#cancel(driver),
      (driver) => this.#after(driver, WIPING_MS, () => this.#wipe(driver)),
    );
    this.claims = new DraClaims({
      drivers: this.drivers,
      file: join(root, 'dra_manager_state'),
      get: (namespace, name) => client.of(CLAIMS).get(namespace, name),
    });
  }

  /** Gives back the claims of pods that nobody knows any more: tried until it is done. */
  async retain(pods: ReadonlySet<string>): Promise<void> {
    for (const pod of this.claims.users()) {
      if (pods.has(pod)) continue;
      await this.claims.unprepare(pod).catch((err) => {
        this.#options.logger.warn({ err, pod }, 'claims of a pod that is gone are not given back yet');
        this.#after(`pod ${pod}`, RETRY_MS, () => this.retain(pods));
      });
    }
  }

  close(): void {
    this.#closed = true;
    for (const cancel of this.#cancels.values()) cancel();
    this.drivers.close();
  }

  /** What a driver that has gone has published of this node is no more to be had. */
  async #wipe(driver: string): Promise<void> {
    const { client, node, logger } = this.#options;
    const fieldSelector = `spec.nodeName=${node},spec.driver=${driver}`;
    await client
      .of(SLICES)
      .deleteCollection({ fieldSelector })
      .catch((err: unknown) => {
        logger.warn({ err, driver }, 'the ResourceSlices of a driver that is gone could not be deleted');
        this.#after(driver, RETRY_MS, () => this.#wipe(driver));
      });
  }

  #after(name: string, ms: number, work: () => Promise<void>): void {
    if (this.#closed) return;
    this.#cancel(name);
    this.#cancels.set(
      name,
      this.#options.clock.after(ms, () => {
        this.#cancels.delete(name);
        void work();
      }),
    );
  }

  #cancel(name: string): void {
    this.#cancels.get(name)?.();
    this.#cancels.delete(name);
  }
}
