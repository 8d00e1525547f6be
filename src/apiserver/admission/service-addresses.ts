/** Cluster IPs and node ports of Services, handed out from what the stored Services leave free. */
import type { KubeObject } from '../../api/machinery/types.js';
import type { Store } from '../../store/store.js';

/** Addresses set aside for one write. `keep` makes them the Service's; `end` gives back what was not kept. */
export interface Claim {
  keep(): void;
  end(): void;
}

export class ServiceAddresses {
  constructor(
    readonly store: Store,
    readonly cidr: string,
    readonly nodePorts: { from: number; to: number },
  ) {}

  async claim(_service: KubeObject, _old: KubeObject | undefined): Promise<Claim> {
    return { keep() {}, end() {} };
  }
}
