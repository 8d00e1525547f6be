/** A range of IPv4 addresses for load balancers. Pure. */

const MAX_SIZE = 65_536;

const toNumber = (address: string): number =>
  address.split('.').reduce((number, byte) => number * 256 + Number(byte), 0);

const toAddress = (number: number): string =>
  [24, 16, 8, 0].map((bits) => Math.floor(number / 2 ** bits) % 256).join('.');

export interface AddressPool {
  has(address: string): boolean;
  /** The first that is not in `used`; undefined when there is none. */
  firstFree(used: ReadonlySet<string>): string | undefined;
}

/** `192.0.2.240/28` (all of its addresses) or `192.0.2.240-192.0.2.250`. @throws Error on anything else. */
export function parsePool(text: string): AddressPool {
  const [first, last] = bounds(text);
  return {
    has(address) {
      const number = isAddress(address) ? toNumber(address) : -1;
      return number >= first && number <= last;
    },
    firstFree(used) {
      for (let number = first; number <= last; number++)
        if (!used.has(toAddress(number))) return toAddress(number);
      return undefined;
    },
  };
}

const isAddress = (text: string): boolean =>
  /^\d{1,3}(\.\d{1,3}){3}$/.test(text) && text.split('.').every((byte) => Number(byte) < 256);

function bounds(text: string): [number, number] {
  const [start = '', end] = text.split(/[-/]/);
  const bits = text.includes('/') ? Number(end) : 0;
  const isRange = text.includes('-') && isAddress(end ?? '');
  const isCidr = text.includes('/') && /^\d+$/.test(end ?? '') && bits >= 1 && bits <= 32;
  if (!isAddress(start) || !(isRange || isCidr))
    throw new Error(`"${text}" is no range of addresses such as 192.0.2.240/28 or 192.0.2.240-192.0.2.250`);
  const size = isCidr ? 2 ** (32 - bits) : toNumber(end!) - toNumber(start) + 1;
  const first = isCidr ? Math.floor(toNumber(start) / size) * size : toNumber(start);
  if (size < 1 || size > MAX_SIZE) throw new Error(`the range ${text} must have 1 to ${MAX_SIZE} addresses`);
  return [first, first + size - 1];
}
