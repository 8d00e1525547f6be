/** The devices of the node, put together: of device plugins, and of drivers of dynamic resource allocation. */
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Container, Pod, ResourceStatus } from '#types';
import type { Clock } from '../../api/machinery/clock.js';
import type { Client } from '../../client/client.js';
import type { ContainerEdits } from '../cdi/edits.js';
import { cdiEdits } from '../cdi/registry.js';
import type { PluginHandler } from '../plugins/watcher.js';
import { AdmissionError } from '../pods/admission-error.js';
import { ConfigError } from '../pods/env.js';
import { DevicePlugins } from './device-plugins.js';
import type { ClaimDevices } from './dra/claims.js';
import { Dra } from './dra/index.js';
import { servePodResources } from './pod-resources.js';

export interface NodeDevicesOptions {
  node: string;
  client: Client;
  /** The kubelet's folder, as plugins know it. */
  root: string;
  clock: Clock;
  logger: Logger;
  /** Those of the node that have not ended. */
  pods(): Pod[];
  /** There are other devices, or their health is another. */
  changed(): void;
}

export class NodeDevices {
  readonly #plugins: DevicePlugins;
  readonly #dra: Dra;
  readonly #options: NodeDevicesOptions;
  #told: { close(): void } | undefined;

  constructor(options: NodeDevicesOptions) {
    this.#options = options;
    const { changed, pods: _, ...shared } = options;
    const { root } = shared;
    this.#plugins = new DevicePlugins({ ...shared, changed, dir: join(root, 'device-plugins') });
    this.#dra = new Dra(shared);
  }

  /** For the folder of plugins. */
  get handlers(): Record<string, PluginHandler> {
    return { DevicePlugin: this.#plugins, DRAPlugin: this.#dra.drivers };
  }

  async recover(): Promise<void> {
    await this.#plugins.recover();
    await this.#dra.claims
      .recover()
      .catch((err) => this.#options.logger.error({ err }, 'what is noted of claims cannot be read'));
  }

  async start(): Promise<void> {
    await this.#plugins.start();
    const devices = (all: [string, string[]][]) =>
      all.map(([resourceName, deviceIds]) => ({ resourceName, deviceIds }));
    this.#told = await servePodResources({
      dir: join(this.#options.root, 'pod-resources'),
      pods: () => this.#options.pods(),
      devicesOf: ({ metadata }, { name }) => devices(this.#plugins.idsOf(metadata.uid!, name)),
      claimsOf: (pod, container) => this.#dra.claims.devicesOf(pod, container).map(dynamicResource),
      allocatable: () => devices(this.#plugins.healthy()),
    });
  }

  close(): Promise<void> {
    this.#told?.close();
    this.#dra.close();
    return this.#plugins.close();
  }

  amounts() {
    return this.#plugins.amounts();
  }

  /** Before anything of a pod is there. @throws AdmissionError */
  async admit(pod: Pod): Promise<void> {
    await this.#plugins.allocate(pod).catch((error: Error) => {
      throw new AdmissionError(error.message);
    });
  }

  /** Before a pod's sandbox: its claims are made ready. Rejects while they are not. */
  async prepareClaims(pod: Pod): Promise<void> {
    if (pod.spec.resourceClaims?.length) await this.#dra.claims.prepare(pod);
  }

  /** Whether a pod has claims that are to be given back at its end. */
  holdsClaims(uid: string): boolean {
    return this.#dra.claims.holds(uid);
  }

  /** After a pod's end. Rejects while a driver does not do its part. */
  unprepareClaims(uid: string): Promise<void> {
    return this.#dra.claims.unprepare(uid);
  }

  /** Before each start of a container: what its devices change of it. @throws ConfigError; Error for CDI devices that can't be given */
  async prepare(pod: Pod, container: Container): Promise<{ given: ContainerEdits; cdi: ContainerEdits }> {
    const { uid = '' } = pod.metadata;
    const { edits, cdi } = await this.#plugins.prepare(uid, container.name).catch((error: Error) => {
      throw new ConfigError(error.message, true);
    });
    const prepared = this.#dra.claims.devicesOf(pod, container).flatMap(({ devices }) => devices);
    const names = [...cdi, ...prepared.flatMap(({ cdiDeviceIds }) => cdiDeviceIds ?? [])];
    return { given: edits, cdi: await cdiEdits(names) };
  }

  health(pod: Pod, container: string): ResourceStatus[] {
    return this.#plugins.health(pod.metadata.uid!, container);
  }

  release(uid: string): void {
    this.#plugins.release(uid);
  }

  /** Of all other pods nothing is left. */
  retain(uids: ReadonlySet<string>): void {
    this.#plugins.retain(uids);
    void this.#dra.retain(uids);
  }
}

const dynamicResource = ({ claim, driver, devices }: ClaimDevices) => ({
  claimName: claim.name,
  claimNamespace: claim.namespace,
  claimResources: devices.map(({ poolName, deviceName, cdiDeviceIds }) => ({
    ...{ driverName: driver, poolName, deviceName },
    cdiDevices: (cdiDeviceIds ?? []).map((name) => ({ name })),
  })),
});
