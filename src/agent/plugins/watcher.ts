/** Plugins of the node: known by the sockets that they put into the folder `plugins_registry` (kubelet's plugin manager). */
import { type FSWatcher, watch } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Clock } from '../../api/machinery/clock.js';
import { registrationService } from '../../rpc/plugin-registration.js';
import { UnixClient } from '../../rpc/unix-client.js';

/** What a plugin says of itself. */
export interface PluginInfo {
  name: string;
  /** The socket that serves it. */
  endpoint: string;
  versions: string[];
}

/** Takes the plugins of one type. */
export interface PluginHandler {
  /** Gives what is to be done when the plugin goes. Rejects with why it can't be taken. */
  register(plugin: PluginInfo): Promise<() => Promise<void>>;
}

export interface PluginWatcherOptions {
  /** `<kubelet root>/plugins_registry`. */
  dir: string;
  /** By the type that plugins name: `CSIPlugin`, `DRAPlugin`, `DevicePlugin`. */
  handlers: Record<string, PluginHandler>;
  clock: Clock;
  logger: Logger;
}

const RETRY_MS = [100, 500, 2000, 10_000];
const CALL_MS = 10_000;

interface Plugin {
  name?: string;
  leave?: () => Promise<void>;
  cancel?: () => void;
  tries: number;
}

export class PluginWatcher {
  readonly #options: PluginWatcherOptions;
  readonly #plugins = new Map<string, Plugin>();
  #watcher: FSWatcher | undefined;
  #scan: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: PluginWatcherOptions) {
    this.#options = options;
  }

  /** Looks for plugins, now and whenever a socket comes or goes. */
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

  /** The plugins stay registered with their handlers, for them to close. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#watcher?.close();
    await this.#scan;
    for (const { cancel } of this.#plugins.values()) cancel?.();
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

  async #gone(socket: string, { name, leave, cancel }: Plugin): Promise<void> {
    const { logger } = this.#options;
    cancel?.();
    this.#plugins.delete(socket);
    if (leave === undefined) return;
    logger.info({ plugin: name }, 'a plugin is gone');
    await leave().catch((err) => logger.warn({ err, plugin: name }, 'the end of a plugin could not be told'));
  }

  async #found(socket: string): Promise<void> {
    const plugin: Plugin = this.#plugins.get(socket) ?? { tries: 0 };
    this.#plugins.set(socket, plugin);
    const { logger, clock } = this.#options;
    try {
      await this.#register(socket, plugin);
      logger.info({ plugin: plugin.name, socket }, 'a plugin is registered');
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
    const tell = (pluginRegistered: boolean, error = '') =>
      registrar.call(registrationService.notifyRegistrationStatus, { pluginRegistered, error }, CALL_MS);
    try {
      const info = await registrar.call(registrationService.getInfo, {}, CALL_MS);
      const { type = '', name = '', endpoint, supportedVersions } = info;
      try {
        const handler = this.#options.handlers[type ?? ''];
        if (!handler) throw new Error(`no handler registered for plugin type: ${type} at socket ${socket}`);
        if (!name) throw new Error('the plugin says no name');
        plugin.name = name;
        plugin.leave = await handler.register({
          ...{ name, endpoint: endpoint || socket, versions: supportedVersions ?? [] },
        });
      } catch (error) {
        await tell(false, (error as Error).message).catch(() => {});
        throw error;
      }
      await tell(true);
    } finally {
      registrar.close();
    }
  }
}
