/** The storage drivers of this node. */
import { csiNodeService, NodeCapability, type NodeInfo } from '../../rpc/csi.js';
import { UnixClient } from '../../rpc/unix-client.js';
import type { PluginHandler, PluginInfo } from '../plugins/watcher.js';

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

const CALL_MS = 10_000;

export class CsiDrivers implements PluginHandler {
  readonly #drivers = new Set<Driver>();

  /** `changed`: the drivers are others than before; rejects if the cluster can't be told. */
  constructor(private readonly changed: () => Promise<void>) {}

  get(name: string): Driver | undefined {
    return this.list().find((driver) => driver.name === name);
  }

  list(): Driver[] {
    return [...this.#drivers];
  }

  async register(plugin: PluginInfo): Promise<() => Promise<void>> {
    const driver = await connect(plugin);
    const leave = () => {
      this.#drivers.delete(driver);
      driver.client.close();
    };
    this.#drivers.add(driver);
    try {
      await this.changed();
    } catch (error) {
      leave();
      throw error;
    }
    return () => {
      leave();
      return this.changed();
    };
  }

  close(): void {
    for (const { client } of this.#drivers) client.close();
    this.#drivers.clear();
  }
}

/** @throws Error for what is no storage driver of a version that is known. */
async function connect({ name, endpoint, versions }: PluginInfo): Promise<Driver> {
  if (!versions.some((version) => /^v?1\./.test(version)))
    throw new Error(`none of the versions ${versions.join(', ')} of the driver is supported`);
  const client = new UnixClient(endpoint);
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
