/** Storage drivers on the node, put together: what the cluster is told of them, and their volumes. */
import type { Logger } from 'pino';
import type { Node } from '#types';
import type { Clock } from '../../api/machinery/clock.js';
import type { KubeObject } from '../../api/machinery/types.js';
import type { Client } from '../../client/client.js';
import type { NodeObjects } from '../hub/objects.js';
import { writeCsiNode } from './csi-node.js';
import { CsiDrivers } from './drivers.js';
import { CsiVolumes } from './volumes.js';

export interface CsiOptions {
  node: string;
  /** The kubelet's folder, as drivers know it. */
  root: string;
  objects: NodeObjects;
  client: Client;
  clock: Clock;
  logger: Logger;
  inUseChanged(): void;
  driversChanged(): void;
}

export class Csi {
  readonly drivers: CsiDrivers;
  readonly volumes: CsiVolumes;
  readonly #options: CsiOptions;

  constructor(options: CsiOptions) {
    this.#options = options;
    const { node, root, objects, client, clock, logger, inUseChanged } = options;
    this.drivers = new CsiDrivers(() => this.#write());
    const shared = { node, root, objects, client, clock, logger };
    this.volumes = new CsiVolumes({ ...shared, drivers: this.drivers, changed: inUseChanged });
  }

  /** The Node is in the API: its CSINode is to be there too. */
  async registered(): Promise<void> {
    const { logger } = this.#options;
    await this.#write().catch((err) => logger.warn({ err }, 'the CSINode could not be written'));
  }

  close(): void {
    this.volumes.close();
    this.drivers.close();
  }

  async #write(): Promise<void> {
    const { client, objects, node, driversChanged } = this.#options;
    const known = objects.get<Node & KubeObject>('nodes', node) ?? { metadata: { name: node } };
    await writeCsiNode(client, known as Node, this.drivers.list());
    driversChanged();
  }
}
