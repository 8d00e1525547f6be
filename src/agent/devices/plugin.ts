/** A device plugin: the devices that it tells of, and what it is asked for. */
import type { Logger } from 'pino';
import {
  type ContainerAllocation,
  type DeviceList,
  devicePluginService,
  type PluginOptions,
} from '../../rpc/device-plugin.js';
import { UnixClient } from '../../rpc/unix-client.js';

const CONNECT_MS = 10_000;

export interface DevicePluginEvents {
  /** It has told of its devices: by id whether each is healthy. */
  listed(devices: Map<string, boolean>): void;
  /** It tells no more. */
  stopped(): void;
}

export class DevicePlugin {
  readonly #client: UnixClient;
  #stop = () => {};

  private constructor(
    client: UnixClient,
    private readonly options: PluginOptions,
  ) {
    this.#client = client;
  }

  /** Rejects when nobody serves the socket, or not as a device plugin. */
  static async connect(socket: string): Promise<DevicePlugin> {
    const client = new UnixClient(socket);
    try {
      await client.ready(CONNECT_MS);
      const options = await client.call(devicePluginService.getDevicePluginOptions, {}, CONNECT_MS);
      return new DevicePlugin(client, options);
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** Follows what it tells of its devices, until it ends or is closed. */
  watch(events: DevicePluginEvents, logger: Logger): void {
    const stream = this.#client.stream(devicePluginService.listAndWatch, {});
    this.#stop = () => stream.cancel();
    stream.on('data', ({ devices }: DeviceList) => {
      events.listed(new Map((devices ?? []).map(({ ID, health }) => [ID ?? '', health === 'Healthy'])));
    });
    stream.on('error', (err) => logger.info({ err }, 'a device plugin tells no more of its devices'));
    stream.on('close', () => events.stopped());
  }

  close(): void {
    this.#stop();
    this.#client.close();
  }

  /** Which `count` of the available ones it would rather give, those in `must` among them; undefined if it has no opinion. */
  async preferred(available: string[], must: string[], count: number): Promise<string[] | undefined> {
    if (!this.options.getPreferredAllocationAvailable) return undefined;
    const { containerResponses } = await this.#client.call(devicePluginService.getPreferredAllocation, {
      containerRequests: [
        { availableDeviceIDs: available, mustIncludeDeviceIDs: must, allocationSize: count },
      ],
    });
    return containerResponses?.[0]?.deviceIDs ?? undefined;
  }

  async allocate(ids: string[]): Promise<ContainerAllocation> {
    const { containerResponses } = await this.#client.call(devicePluginService.allocate, {
      containerRequests: [{ devicesIds: ids }],
    });
    const allocation = containerResponses?.[0];
    if (!allocation) throw new Error('no containers return in allocation response');
    return allocation;
  }

  /** Before each start of a container, where the plugin wants that. */
  async preStart(ids: string[]): Promise<void> {
    if (!this.options.preStartRequired) return;
    try {
      await this.#client.call(devicePluginService.preStartContainer, { devicesIds: ids });
    } catch (error) {
      throw new Error(`device plugin PreStartContainer rpc failed with err: ${(error as Error).message}`);
    }
  }
}
