/** The storage drivers of this node: known by the sockets that they put into the folder of plugins. */
import { type FSWatcher, watch } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Clock } from '../../api/machinery/clock.js';
import {
  csiNodeService,
  NodeCapability,
  type NodeInfo,
  type PluginInfo,
  registrationService,
  UnixClient,
} from '../../rpc/csi.js';

export interface Driver {
  name: string;
  client: UnixClient;
  nodeId: string;
  /** How many volumes the node takes; 0 when the driver says nothing. */
  maxVolumes: number;
  topology: Record<string, string>;
  can: {
    stage: boolean;
    expand: boolean;
    stats: boolean;
    mountGroup: boolean;
    singleNodeMultiWriter: boolean;
  };
}

export interface DriversOptions {
  /** `<kubelet root>/plugins_registry`. */
  dir: string;
  clock: Clock;
  logger: Logger;
  /** The drivers are others than before: rejects if the cluster can't be told. */
  changed(): Promise<void>;
}

const RETRY_MS = [100, 500, 2000, 10_000];
const CALL_MS = 10_000;

interface Plugin {
  driver?: Driver;
  cancel?: () => void;
  tries: number;
}

export class CsiDrivers {
  readonly #options: DriversOptions;
  readonly #plugins = new Map<string, Plugin>();
  #watcher: FSWatcher | undefined;
  #scan: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: DriversOptions) {
    this.#options = options;
  }

  get(name: string): Driver | undefined {
    return this.list().find((driver) => driver.name === name);
  }

  list(): Driver[] {
    return [...this.#plugins.values()].flatMap(({ driver }) => driver ?? []);
  }

  /** Looks for drivers, now and whenever a socket comes or goes. */
  async start(): Promise<void> {
    const { dir, logger } = this.#options;
    await mkdir(dir, { recursive: true, mode: 0o750 });
    this.#watcher = watch(dir, () => this.#look());
    this.#watcher.on('error', (err) =>
      logger.error({ err }, 'the folder of plugins is not watched any more'),
    );
    this.#look();
    await this.#scan;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#watcher?.close();
    await this.#scan;
    for (const { driver, cancel } of this.#plugins.values()) {
      cancel?.();
      driver?.client.close();
    }
    this.#plugins.clear();
  }

  #look(): void {
    this.#scan = this.#scan
      .then(() => this.#compare())
      .catch((err) => this.#options.logger.error({ err }, 'the folder of plugins could not be read'));
  }

  async #compare(): Promise<void> {
    if (this.#closed) return;
    const { dir } = this.#options;
    const entries = await readdir(dir, { withFileTypes: true });
    const sockets = new Set(
      entries
        .filter((entry) => entry.isSocket() && !entry.name.startsWith('.'))
        .map(({ name }) => join(dir, name)),
    );
    for (const [socket, plugin] of this.#plugins) if (!sockets.has(socket)) await this.#gone(socket, plugin);
    for (const socket of sockets) if (!this.#plugins.has(socket)) await this.#found(socket);
  }

  async #gone(socket: string, { driver, cancel }: Plugin): Promise<void> {
    const { logger, changed } = this.#options;
    cancel?.();
    this.#plugins.delete(socket);
    if (driver === undefined) return;
    driver.client.close();
    logger.info({ driver: driver.name }, 'a storage driver is gone');
    await changed().catch((err) => logger.warn({ err }, 'the CSINode could not be written'));
  }

  async #found(socket: string): Promise<void> {
    const plugin: Plugin = this.#plugins.get(socket) ?? { tries: 0 };
    this.#plugins.set(socket, plugin);
    const { logger, clock } = this.#options;
    try {
      await this.#register(socket, plugin);
      logger.info({ driver: plugin.driver?.name, socket }, 'a storage driver is registered');
    } catch (err) {
      logger.warn({ err, socket }, 'a plugin could not be registered');
      const delay = RETRY_MS[Math.min(plugin.tries++, RETRY_MS.length - 1)]!;
      plugin.cancel = clock.after(delay, () => {
        this.#scan = this.#scan.then(async () => {
          if (!this.#closed && this.#plugins.get(socket) === plugin) await this.#found(socket);
        });
      });
    }
  }

  async #register(socket: string, plugin: Plugin): Promise<void> {
    const registrar = new UnixClient(socket);
    try {
      const info = await registrar.call(registrationService.getInfo, {}, CALL_MS);
      try {
        plugin.driver = await connect(info, socket);
        await this.#options.changed();
      } catch (error) {
        plugin.driver?.client.close();
        delete plugin.driver;
        const status = { pluginRegistered: false, error: (error as Error).message };
        await registrar.call(registrationService.notifyRegistrationStatus, status, CALL_MS).catch(() => {});
        throw error;
      }
      const status = { pluginRegistered: true, error: '' };
      await registrar.call(registrationService.notifyRegistrationStatus, status, CALL_MS);
    } finally {
      registrar.close();
    }
  }
}

/** @throws Error for what is no storage driver of a version that is known. */
async function connect(info: PluginInfo, socket: string): Promise<Driver> {
  const { type, name, endpoint, supportedVersions = [] } = info;
  if (type !== 'CSIPlugin')
    throw new Error(`no handler registered for plugin type: ${type} at socket ${socket}`);
  if (!name) throw new Error('the plugin says no name');
  if (!(supportedVersions ?? []).some((version) => /^v?1\./.test(version)))
    throw new Error(
      `none of the versions ${(supportedVersions ?? []).join(', ')} of the driver is supported`,
    );
  const client = new UnixClient(endpoint || socket);
  try {
    const node: NodeInfo = await client.call(csiNodeService.nodeGetInfo, {}, CALL_MS);
    const { capabilities } = await client.call(csiNodeService.nodeGetCapabilities, {}, CALL_MS);
    const types = new Set((capabilities ?? []).map(({ rpc }) => rpc?.type));
    if (!node.nodeId) throw new Error('the driver says no node id');
    return {
      name,
      client,
      nodeId: node.nodeId,
      maxVolumes: Number(String(node.maxVolumesPerNode ?? 0)),
      topology: { ...node.accessibleTopology?.segments },
      can: {
        stage: types.has(NodeCapability.STAGE_UNSTAGE_VOLUME),
        expand: types.has(NodeCapability.EXPAND_VOLUME),
        stats: types.has(NodeCapability.GET_VOLUME_STATS),
        mountGroup: types.has(NodeCapability.VOLUME_MOUNT_GROUP),
        singleNodeMultiWriter: types.has(NodeCapability.SINGLE_NODE_MULTI_WRITER),
      },
    };
  } catch (error) {
    client.close();
    throw error;
  }
}
