/** Hands out a node's pod addresses: the lowest free one after the last, so that none is used again soon. */
import { formatAddress, parseAddress, parseCidr } from './cidr.js';

export class AddressPool {
  readonly gateway: string;
  /** Address with the CIDR's length, as it is put on the bridge. */
  readonly gatewayCidr: string;
  private readonly byOwner = new Map<string, number>();
  private readonly used = new Set<number>();
  private readonly first: number;
  private readonly last: number;
  private cursor: number;

  constructor(readonly podCidr: string) {
    const cidr = parseCidr(podCidr);
    if (cidr.length > 30) throw new Error(`pod CIDR ${podCidr} has no room for pods: at most /30`);
    this.gateway = formatAddress(cidr.base + 1);
    this.gatewayCidr = `${this.gateway}/${cidr.length}`;
    this.first = cidr.base + 2;
    this.last = cidr.base + cidr.size - 2;
    this.cursor = this.first;
  }

  /** The owner's address: the one it has, or a new one. */
  allocate(owner: string): string {
    const known = this.byOwner.get(owner);
    if (known !== undefined) return formatAddress(known);
    const count = this.last - this.first + 1;
    for (let step = 0; step < count; step++) {
      const candidate = this.first + ((this.cursor - this.first + step) % count);
      if (this.used.has(candidate)) continue;
      this.hold(owner, candidate);
      return formatAddress(candidate);
    }
    throw new Error(`no free address in pod CIDR ${this.podCidr}: all ${count} are in use`);
  }

  /** Takes note of an address that was given before; false when it is not ours or somebody else has it. */
  reserve(owner: string, ip: string): boolean {
    const address = parseAddress(ip);
    const held = this.byOwner.get(owner);
    if (held === address) return true;
    if (address < this.first || address > this.last || this.used.has(address)) return false;
    if (held !== undefined) this.used.delete(held);
    this.hold(owner, address);
    return true;
  }

  release(owner: string): void {
    const address = this.byOwner.get(owner);
    if (address === undefined) return;
    this.byOwner.delete(owner);
    this.used.delete(address);
  }

  get(owner: string): string | undefined {
    const address = this.byOwner.get(owner);
    return address === undefined ? undefined : formatAddress(address);
  }

  owners(): string[] {
    return [...this.byOwner.keys()];
  }

  private hold(owner: string, address: number): void {
    this.byOwner.set(owner, address);
    this.used.add(address);
    this.cursor = address + 1 > this.last ? this.first : address + 1;
  }
}
