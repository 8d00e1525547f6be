/** Ranges of addresses for load balancers, one of each IP family. Pure. */
import { isIP } from 'node:net';
import {
  addressNumber,
  addressText,
  familyOf,
  type IpFamily,
  parsePrefix,
} from '../../api/machinery/prefix.js';

const MAX_SIZE = 65_536;

export interface AddressPool {
  families: IpFamily[];
  has(address: string): boolean;
  /** The first of the family that is not in `used`; undefined when there is none. */
  firstFree(family: IpFamily, used: ReadonlySet<string>): string | undefined;
}

/**
 * `192.0.2.240/28` (all of its addresses, of IPv6 all but the first) or `192.0.2.240-192.0.2.250`; with a comma one of each IP family. @throws Error
 * on anything else.
 */
export function parsePool(text: string): AddressPool {
  const ranges = text.split(',').map(parseRange);
  const families = ranges.map(({ family }) => family);
  if (new Set(families).size < families.length)
    throw new Error(`"${text}" is more than one range of addresses of each IP family`);
  return {
    families,
    has: (address) =>
      isIP(address) !== 0 &&
      ranges.some(({ family, first, size }) => {
        const offset = addressNumber(address) - first;
        return family === familyOf(address) && offset >= 0n && offset < size;
      }),
    firstFree(wanted, used) {
      for (const { family, first, size } of ranges)
        for (let offset = 0n; family === wanted && offset < size; offset++) {
          const address = addressText(first + offset, family);
          if (!used.has(address)) return address;
        }
      return undefined;
    },
  };
}

function parseRange(text: string): { family: IpFamily; first: bigint; size: bigint } {
  const [first, last] = bounds(text);
  const size = addressNumber(last) - addressNumber(first) + 1n;
  if (size < 1n || size > MAX_SIZE) throw new Error(`the range ${text} must have 1 to ${MAX_SIZE} addresses`);
  return { family: familyOf(first), first: addressNumber(first), size };
}

/** The first and the last. */
function bounds(text: string): [string, string] {
  const [first = '', last = ''] = text.split('-');
  if (isIP(first) !== 0 && isIP(first) === isIP(last)) return [first, last];
  try {
    const { at, size, family } = parsePrefix(text);
    // The first one of an IPv6 network is that of all its routers (RFC 4291).
    return [at(family === 'IPv6' && size > 1 ? 1 : 0), at(size - 1)];
  } catch {
    throw new Error(`"${text}" is no range of addresses such as 192.0.2.240/28 or 192.0.2.240-192.0.2.250`);
  }
}
