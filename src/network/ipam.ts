/** Hands out a node's pod addresses: the lowest free one after the last, so that none is used again soon. */
import { type AddressRange, type IpFamily, parsePrefix } from '../api/machinery/prefix.js';

/** More pods than that no node has had: of larger ranges only the first part is used. */
const MAX_ADDRESSES = 2 ** 24;

export class AddressPool {
  readonly gateway: string;
  /** Address with the CIDR's length, as it is put on the bridge. */
  readonly gatewayCidr: string;
  readonly family: IpFamily;
  private readonly range: AddressRange;
  private readonly byOwner = new Map<string, number>();
  private readonly used = new Set<number>();
  private readonly first = 2;
  private readonly last: number;
  private cursor = this.first;

  constructor(readonly podCidr: string) {
    this.range = parsePrefix(podCidr);
    const { family, length, size, at } = this.range;
    const most = family === 'IPv4' ? 30 : 126;
    if (length > most) throw new Error(`pod CIDR ${podCidr} has no room for pods: at most /${most}`);
    this.family = family;
    this.gateway = at(1);
    this.gatewayCidr = `${this.gateway}/${length}`;
    this.last = Math.min(size, MAX_ADDRESSES) - 2;
  }

  /** The owner's address: the one it has, or a new one. */
  allocate(owner: string): string {
    const known = this.byOwner.get(owner);
    if (known !== undefined) return this.range.at(known);
    const count = this.last - this.first + 1;
    for (let step = 0; step < count; step++) {
      const candidate = this.first + ((this.cursor - this.first + step) % count);
      if (this.used.has(candidate)) continue;
      this.hold(owner, candidate);
      return this.range.at(candidate);
    }
    throw new Error(`no free address in pod CIDR ${this.podCidr}: all ${count} are in use`);
  }

  /** Takes note of an address that was given before; false when it is not ours or somebody else has it. */
  reserve(owner: string, ip: string): boolean {
    const address = this.range.offsetOf(ip);
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
    return address === undefined ? undefined : this.range.at(address);
  }

  private hold(owner: string, address: number): void {
    this.byOwner.set(owner, address);
    this.used.add(address);
    this.cursor = address + 1 > this.last ? this.first : address + 1;
  }
}
