/** The devices of the node, put together: of device plugins. */
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Container, Pod, ResourceStatus } from '#types';
import type { Clock } from '../../api/machinery/clock.js';
import type { ContainerEdits } from '../cdi/edits.js';
import { cdiEdits } from '../cdi/registry.js';
import type { PluginHandler } from '../plugins/watcher.js';
import { ConfigError } from '../pods/env.js';
import { DevicePlugins } from './device-plugins.js';

export interface NodeDevicesOptions {
  /** The kubelet's folder, as plugins know it. */
  root: string;
  clock: Clock;
  logger: Logger;
  /** There are other devices, or their health is another. */
  changed(): void;
}

/** A pod can't have the devices that it asks for. */
export class AdmissionError extends Error {
  readonly reason = 'UnexpectedAdmissionError';

  constructor(why: string) {
    super(`Allocate failed due to ${why}, which is unexpected`);
  }
}

export class NodeDevices {
  readonly #plugins: DevicePlugins;

  constructor({ root, ...shared }: NodeDevicesOptions) {
    this.#plugins = new DevicePlugins({ ...shared, dir: join(root, 'device-plugins') });
  }

  /** For the folder of plugins. */
  get handlers(): Record<string, PluginHandler> {
    return { DevicePlugin: this.#plugins };
  }

  recover(): Promise<void> {
    return this.#plugins.recover();
  }

  start(): Promise<void> {
    return this.#plugins.start();
  }

  close(): Promise<void> {
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

  /** Before each start of a container: what its devices change of it. @throws ConfigError; Error for CDI devices that can't be given */
  async prepare(pod: Pod, { name }: Container): Promise<{ given: ContainerEdits; cdi: ContainerEdits }> {
    const { edits, cdi } = await this.#plugins.prepare(pod.metadata.uid!, name).catch((error: Error) => {
      throw new ConfigError(error.message, true);
    });
    return { given: edits, cdi: await cdiEdits(cdi) };
  }

  health(pod: Pod, container: string): ResourceStatus[] {
    return this.#plugins.health(pod.metadata.uid!, container);
  }

  release(uid: string): void {
    this.#plugins.release(uid);
  }

  retain(uids: ReadonlySet<string>): void {
    this.#plugins.retain(uids);
  }
}
