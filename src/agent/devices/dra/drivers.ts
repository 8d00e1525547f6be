/** Drivers of dynamic resource allocation on this node. */
import { type DraClaim, type DraDevice, type DraService, draServices } from '../../../rpc/dra.js';
import { UnixClient } from '../../../rpc/unix-client.js';
import type { PluginHandler, PluginInfo } from '../../plugins/watcher.js';

/** Upstream's time for a driver's answer. */
const CALL_MS = 45_000;

interface Driver {
  name: string;
  client: UnixClient;
  service: DraService;
}

export class DraDrivers implements PluginHandler {
  /** The one that came last serves; the others step in when it goes. */
  readonly #drivers: Driver[] = [];

  /** `gone`: a driver has no socket any more. */
  constructor(
    private readonly came: (driver: string) => void,
    private readonly gone: (driver: string) => void,
  ) {}

  async register({ name, endpoint, versions }: PluginInfo): Promise<() => Promise<void>> {
    const version = Object.keys(draServices).find((known) => versions.includes(known));
    if (!version)
      throw new Error(
        `none of the DRA driver's supported gRPC services (${versions.join(', ')}) is supported by kubelet`,
      );
    const driver = { name, client: new UnixClient(endpoint), service: draServices[version]! };
    this.#drivers.push(driver);
    this.came(name);
    return async () => {
      this.#drivers.splice(this.#drivers.indexOf(driver), 1);
      driver.client.close();
      if (!this.has(name)) this.gone(name);
    };
  }

  has(name: string): boolean {
    return this.#drivers.some((driver) => driver.name === name);
  }

  /** The devices of the claim that the driver has made ready. */
  async prepare(name: string, claim: DraClaim): Promise<DraDevice[]> {
    const { client, service } = this.#get(name);
    const { claims } = await client.call(service.nodePrepareResources, { claims: [claim] }, CALL_MS);
    const answer = claims?.[claim.uid ?? ''];
    if (!answer) throw new Error('NodePrepareResources skipped 1 of the 1 ResourceClaims');
    if (answer.error)
      throw new Error(`NodePrepareResources failed for ResourceClaim ${claim.name}: ${answer.error}`);
    return answer.devices ?? [];
  }

  async unprepare(name: string, claim: DraClaim): Promise<void> {
    const { client, service } = this.#get(name);
    const { claims } = await client.call(service.nodeUnprepareResources, { claims: [claim] }, CALL_MS);
    const answer = claims?.[claim.uid ?? ''];
    if (!answer) throw new Error('NodeUnprepareResources skipped 1 of the 1 ResourceClaims');
    if (answer.error)
      throw new Error(`NodeUnprepareResources failed for ResourceClaim ${claim.name}: ${answer.error}`);
  }

  close(): void {
    for (const { client } of this.#drivers.splice(0)) client.close();
  }

  #get(name: string): Driver {
    const driver = this.#drivers.findLast((one) => one.name === name);
    if (!driver) throw new Error(`DRA driver ${name} is not registered`);
    return driver;
  }
}
