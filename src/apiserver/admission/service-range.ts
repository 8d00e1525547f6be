/** A range of addresses for Services, and which of it is given next. */
import { type AddressRange, parsePrefix } from '../../api/machinery/prefix.js';

/** One range, or one of each IP family, such as `10.96.0.0/16,fd00:10:96::/112`. Throws for anything else. */
export function parseRanges(cidrs: string): AddressRange[] {
  const ranges = cidrs.split(',').map(parseRange);
  if (ranges.length > 2 || new Set(ranges.map(({ family }) => family)).size < ranges.length)
    throw new Error(`service range ${cidrs} is more than one range of each IP family`);
  return ranges;
}

function parseRange(cidr: string): AddressRange {
  const what = cidr.includes(':')
    ? 'an IPv6 range of 4 addresses or more, such as fd00:10:96::/112'
    : 'an IPv4 range of 4 to 16 million addresses';
  const wrong = () => new Error(`service range ${cidr} is not ${what}`);
  let range: AddressRange;
  try {
    range = parsePrefix(cidr);
  } catch {
    throw wrong();
  }
  const [min, max] = range.family === 'IPv4' ? [8, 30] : [64, 126];
  if (range.length < min || range.length > max) throw wrong();
  return range;
}

/**
 * Random in the upper part first; the lower part is left to who asks for an address (KEP-3070). Undefined if none is
 * free. The last address of an IPv4 range is for broadcasts.
 */
export function freeAddress(
  { family, size, at }: Pick<AddressRange, 'family' | 'size' | 'at'>,
  isTaken: (ip: string) => boolean,
  random: () => number,
): string | undefined {
  const reserved = Math.max(1, Math.min(Math.max(16, Math.floor(size / 16)), 256, size - 2));
  const parts: [number, number][] = [
    [reserved, family === 'IPv4' ? size - 1 : size],
    [1, reserved],
  ];
  for (const [from, to] of parts) {
    const start = Math.floor(random() * Math.max(0, to - from));
    for (let i = 0; i < to - from; i++) {
      const ip = at(from + ((start + i) % (to - from)));
      if (!isTaken(ip)) return ip;
    }
  }
  return undefined;
}
