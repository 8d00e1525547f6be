/**
 * Devices of plugins (kubelet's device manager): what the node has of them, and which container has which.
 * @see https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/
 */
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Container, Pod, ResourceStatus } from '#types';
import type { Clock } from '../../api/machinery/clock.js';
import { quantityValue } from '../../api/machinery/quantity.js';
import { isExtendedResource } from '../../api/resources/core/podspec/validate-resources.js';
import type { ContainerAllocation } from '../../rpc/device-plugin.js';
import { type ContainerEdits, noEdits } from '../cdi/edits.js';
import type { PluginHandler, PluginInfo } from '../plugins/watcher.js';
import { CHECKPOINT, type Entry, readCheckpoint, writeCheckpoint } from './checkpoint.js';
import { DevicePlugin } from './plugin.js';
import { serveRegistration } from './registration.js';
import { DeviceResource } from './resource.js';

/** How long the node goes on to tell of a resource whose plugin has gone. */
const GRACE_MS = 5 * 60_000;

export interface DevicePluginsOptions {
  /** `<kubelet root>/device-plugins`. */
  dir: string;
  clock: Clock;
  logger: Logger;
  /** There are other devices, or their health is another. */
  changed(): void;
}

export class DevicePlugins implements PluginHandler {
  readonly #options: DevicePluginsOptions;
  readonly #resources = new Map<string, DeviceResource>();
  /** Told before, and no more: their amount is 0 from then on. */
  readonly #removed = new Set<string>();
  #entries: Entry[] = [];
  #server: { close(): void } | undefined;
  /** One pod at a time, as what is left for the next depends on the one before. */
  #turn: Promise<unknown> = Promise.resolve();
  #writing: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: DevicePluginsOptions) {
    this.#options = options;
  }

  /** What an earlier agent has given: before any pod is looked at. */
  async recover(): Promise<void> {
    const { logger } = this.#options;
    try {
      const { entries, resources } = await readCheckpoint(this.#file);
      this.#entries = entries;
      for (const resource of resources) this.#resources.set(resource, new DeviceResource());
    } catch (err) {
      logger.error({ err }, 'what is noted of devices cannot be read');
    }
  }

  /** Takes registrations from now on. */
  async start(): Promise<void> {
    this.#server = await serveRegistration(this.#options.dir, (resource, socket) => {
      checkResource(resource);
      void this.#connect(resource, socket).catch((err) =>
        this.#options.logger.warn({ err, resource, socket }, 'a device plugin could not be connected'),
      );
    });
  }

  /** By the folder of plugins. */
  async register({ name, endpoint, versions }: PluginInfo): Promise<() => Promise<void>> {
    checkResource(name);
    if (!versions.includes('v1beta1'))
      throw new Error(`none of the versions ${versions.join(', ')} of the plugin is supported`);
    const plugin = await this.#connect(name, endpoint);
    return async () => this.#gone(name, plugin);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#server?.close();
    for (const { plugin, cancelRemoval } of this.#resources.values()) {
      plugin?.close();
      cancelRemoval?.();
    }
    await this.#writing;
  }

  /** Amounts by resource, for the status of the Node. */
  amounts(): { capacity: Record<string, string>; allocatable: Record<string, string> } {
    const none = Object.fromEntries([...this.#removed].map((name) => [name, '0']));
    const of = (count: (resource: DeviceResource) => number) => ({
      ...none,
      ...Object.fromEntries([...this.#resources].map(([name, one]) => [name, `${count(one)}`])),
    });
    return { capacity: of(({ devices }) => devices.size), allocatable: of(({ healthy }) => healthy.length) };
  }

  /**
   * Gives a pod's containers the devices that they ask for. Those that it has already it keeps.
   * @throws Error in upstream's words when they can't be had.
   */
  allocate(pod: Pod): Promise<void> {
    const wanted = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].some(
      (container) => this.#wanted(container).length > 0,
    );
    if (!wanted) return Promise.resolve();
    const result = this.#turn.then(() => this.#allocatePod(pod));
    this.#turn = result.catch(() => this.#drop(pod.metadata.uid!));
    return result;
  }

  /** The pod has ended: its devices are free. */
  release(uid: string): void {
    if (this.#entries.some(({ pod }) => pod === uid)) this.#drop(uid);
  }

  /** Frees the devices of all other pods. */
  retain(uids: ReadonlySet<string>): void {
    for (const { pod } of this.#entries) if (!uids.has(pod)) this.#drop(pod);
  }

  /** What its devices change of a container that is about to start, and the names of CDI devices besides. */
  async prepare(uid: string, container: string): Promise<{ edits: ContainerEdits; cdi: string[] }> {
    const edits = noEdits();
    const cdi: string[] = [];
    for (const { resource, ids, allocation } of this.#of(uid, container)) {
      await this.#resources.get(resource)?.plugin?.preStart(ids);
      addAllocation(edits, allocation);
      cdi.push(...(allocation.cdiDevices ?? []).flatMap(({ name }) => name ?? []));
    }
    return { edits, cdi };
  }

  /** How the devices of a container are (KEP-4680). */
  health(uid: string, container: string): ResourceStatus[] {
    return this.#of(uid, container).map(({ resource, ids }) => ({
      name: resource,
      resources: ids.map((resourceID) => ({ resourceID, health: this.#health(resource, resourceID) })),
    }));
  }

  /** Ids of the devices of a container, by resource. */
  idsOf(uid: string, container: string): [resource: string, ids: string[]][] {
    return this.#of(uid, container).map(({ resource, ids }) => [resource, ids]);
  }

  /** Ids of all devices that may be given, by resource. */
  healthy(): [resource: string, ids: string[]][] {
    return [...this.#resources].map(([name, { healthy }]) => [name, healthy]);
  }

  #health(resource: string, id: string): string {
    const isHealthy = this.#resources.get(resource)?.devices.get(id);
    return isHealthy === undefined ? 'Unknown' : isHealthy ? 'Healthy' : 'Unhealthy';
  }

  get #file(): string {
    return join(this.#options.dir, CHECKPOINT);
  }

  #of(uid: string, container: string): Entry[] {
    return this.#entries.filter((entry) => entry.pod === uid && entry.container === container);
  }

  async #connect(name: string, socket: string): Promise<DevicePlugin> {
    const plugin = await DevicePlugin.connect(socket);
    if (this.#closed) {
      plugin.close();
      return plugin;
    }
    const resource = this.#resources.get(name) ?? new DeviceResource();
    resource.cancelRemoval?.();
    const before = resource.plugin;
    resource.plugin = plugin;
    before?.close();
    this.#resources.set(name, resource);
    this.#removed.delete(name);
    this.#options.logger.info({ resource: name, socket }, 'a device plugin is registered');
    plugin.watch(
      {
        listed: (devices) => {
          if (resource.plugin !== plugin) return;
          resource.devices = devices;
          this.#changed();
        },
        stopped: () => this.#gone(name, plugin),
      },
      this.#options.logger,
    );
    return plugin;
  }

  #gone(name: string, plugin: DevicePlugin): void {
    const resource = this.#resources.get(name);
    if (this.#closed || resource?.plugin !== plugin) return;
    resource.lost();
    resource.cancelRemoval = this.#options.clock.after(GRACE_MS, () => {
      this.#resources.delete(name);
      this.#removed.add(name);
      this.#changed();
    });
    this.#changed();
  }

  #changed(): void {
    this.#options.changed();
    this.#write();
  }

  /** Limits that are a plugin's to give. */
  #wanted({ resources }: Container): [resource: string, count: number][] {
    return Object.entries(resources?.limits ?? {}).flatMap(([name, quantity]) => {
      const isKnown = this.#resources.has(name) || this.#entries.some(({ resource }) => resource === name);
      const count = quantityValue(quantity);
      return isKnown && count > 0 ? [[name, count]] : [];
    });
  }

  async #allocatePod({ metadata, spec }: Pod): Promise<void> {
    /** Of init containers that have ended by then: others take them over. */
    const reusable = new Map<string, Set<string>>();
    const all = (spec.initContainers ?? []).map((container) => ({
      ...{ container, lends: container.restartPolicy !== 'Always' },
    }));
    all.push(...spec.containers.map((container) => ({ container, lends: false })));
    for (const { container, lends } of all)
      for (const [resource, count] of this.#wanted(container)) {
        const free = reusable.get(resource) ?? new Set();
        const ids = await this.#allocateContainer(metadata.uid!, container.name, resource, count, free);
        for (const id of ids) lends ? free.add(id) : free.delete(id);
        reusable.set(resource, free);
      }
    this.#write();
  }

  async #allocateContainer(
    pod: string,
    container: string,
    name: string,
    count: number,
    reusable: ReadonlySet<string>,
  ): Promise<string[]> {
    const has = this.#of(pod, container).find(({ resource }) => resource === name)?.ids;
    const resource = this.#resources.get(name);
    if (!resource) throw new Error(`cannot allocate unregistered device ${name}`);
    const { healthy } = resource;
    if (healthy.length === 0)
      throw new Error(`no healthy devices present; cannot allocate unhealthy devices ${name}`);
    if (has?.every((id) => healthy.includes(id))) return has;
    if (has)
      throw new Error(
        `previously allocated devices are no longer healthy; cannot allocate unhealthy devices ${name}`,
      );
    const ids = await this.#choose(resource, name, count, reusable);
    const allocation = await resource.plugin!.allocate(ids);
    this.#entries.push({ pod, container, resource: name, ids, allocation });
    return ids;
  }

  async #choose(
    { healthy, plugin }: DeviceResource,
    name: string,
    count: number,
    reusable: ReadonlySet<string>,
  ): Promise<string[]> {
    const used = new Set(this.#entries.flatMap(({ resource, ids }) => (resource === name ? ids : [])));
    const again = healthy.filter((id) => reusable.has(id)).slice(0, count);
    const free = healthy.filter((id) => !used.has(id));
    if (free.length < count - again.length)
      throw new Error(
        `requested number of devices unavailable for ${name}. Requested: ${count - again.length}, Available: ${free.length}`,
      );
    const available = [...again, ...free];
    const preferred = await plugin?.preferred(available, again, count);
    const isGood = preferred?.length === count && preferred.every((id) => available.includes(id));
    return isGood ? preferred : available.slice(0, count);
  }

  #drop(uid: string): void {
    this.#entries = this.#entries.filter(({ pod }) => pod !== uid);
    this.#write();
  }

  #write(): void {
    const { logger } = this.#options;
    this.#writing = this.#writing.then(async () => {
      const registered = Object.fromEntries(
        [...this.#resources].map(([name, { healthy }]) => [name, healthy]),
      );
      await writeCheckpoint(this.#file, this.#entries, registered).catch((err) =>
        logger.error({ err }, 'what devices containers have could not be noted'),
      );
    });
  }
}

function checkResource(name: string): void {
  if (!isExtendedResource(name)) throw new Error(`the ResourceName ${JSON.stringify(name)} is invalid`);
}

function addAllocation(edits: ContainerEdits, { envs, mounts, devices }: ContainerAllocation): void {
  edits.env.push(...Object.entries(envs ?? {}).map(([name, value]) => `${name}=${value}`));
  for (const { hostPath, containerPath, readOnly } of mounts ?? [])
    edits.mounts.push({ source: hostPath ?? '', target: containerPath ?? '', readOnly: readOnly ?? false });
  for (const { hostPath, containerPath, permissions } of devices ?? [])
    edits.devices.push({
      ...{ source: hostPath ?? '', target: containerPath || hostPath || '', access: permissions || 'mrw' },
    });
}
