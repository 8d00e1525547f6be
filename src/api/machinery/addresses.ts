/** IP addresses as numbers, and their canonical text (RFC 5952). Zones, and IPv4 in IPv6, are none. */

export interface Address {
  family: 4 | 6;
  value: bigint;
}

export function parseAddress(text: string): Address | undefined {
  return text.includes(':') ? parseV6(text) : parseV4(text);
}

function parseV4(text: string): Address | undefined {
  const parts = text.split('.');
  const valid =
    parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256);
  return valid ? { family: 4, value: parts.reduce((sum, part) => sum * 256n + BigInt(part), 0n) } : undefined;
}

function parseV6(text: string): Address | undefined {
  const value = parseGroups(text);
  // ::ffff:a.b.c.d is an IPv4 address in disguise.
  return value === undefined || value >> 32n === 0xffffn ? undefined : { family: 6, value };
}

/** The number of eight groups with colons, some of them left out (`::`). */
export function parseGroups(text: string): bigint | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const groups = [...head!, ...(tail ?? [])];
  if (!groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined;
  const missing = 8 - groups.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  const all = tail === undefined ? groups : [...head!, ...Array<string>(missing).fill('0'), ...tail];
  return all.reduce((sum, group) => sum * 65536n + BigInt(`0x${group}`), 0n);
}

export const bitsOf = ({ family }: Address): number => (family === 4 ? 32 : 128);

/** The canonical text. */
export function addressText({ family, value }: Address): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
  const groups = Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - 16 * i)) & 65535n).toString(16));
  const zeros = [
    ...groups
      .map((group) => (group === '0' ? '0' : 'x'))
      .join('')
      .matchAll(/0{2,}/g),
  ];
  const longest = zeros.reduce<RegExpMatchArray | undefined>(
    (best, each) => (best && best[0].length >= each[0].length ? best : each),
    undefined,
  );
  if (!longest) return groups.join(':');
  const [start, end] = [longest.index!, longest.index! + longest[0].length];
  return `${groups.slice(0, start).join(':')}::${groups.slice(end).join(':')}`;
}

export interface Network {
  address: Address;
  prefix: number;
}

export function parseNetwork(text: string): Network | undefined {
  const [head, tail, more] = text.split('/');
  const address = parseAddress(head!);
  if (!address || more !== undefined || !/^(0|[1-9]\d{0,2})$/.test(tail ?? '')) return undefined;
  const prefix = Number(tail);
  return prefix <= bitsOf(address) ? { address, prefix } : undefined;
}

export function masked({ address, prefix }: Network): Network {
  const shift = BigInt(bitsOf(address) - prefix);
  return { address: { ...address, value: (address.value >> shift) << shift }, prefix };
}

export function containsAddress({ address, prefix }: Network, other: Address): boolean {
  const shift = BigInt(bitsOf(address) - prefix);
  return address.family === other.family && address.value >> shift === other.value >> shift;
}
