/** Kubernetes' IP and CIDR functions. */

import {
  type Address,
  addressText,
  bitsOf,
  containsAddress,
  masked,
  type Network,
  parseAddress,
  parseNetwork,
} from '../../machinery/addresses.js';
import { func, method, type Overload } from '../declare.js';
import { CelError } from '../errors.js';
import { objectOf } from '../types.js';
import { Opaque } from '../values.js';
import { once, traverse, twice } from './costs.js';

const IP_TYPE = objectOf('net.IP');
const CIDR_TYPE = objectOf('net.CIDR');
const IP = IP_TYPE.name;
const CIDR = CIDR_TYPE.name;

class IpValue extends Opaque {
  readonly type = IP_TYPE;
  constructor(readonly address: Address) {
    super();
  }
  override get size(): number {
    return bitsOf(this.address) / 8;
  }
  override equals(other: Opaque): boolean {
    return other instanceof IpValue && same(other.address, this.address);
  }
}

class CidrValue extends Opaque {
  readonly type = CIDR_TYPE;
  constructor(readonly network: Network) {
    super();
  }
  override get size(): number {
    return Math.ceil(this.network.prefix / 8);
  }
  override equals(other: Opaque): boolean {
    if (!(other instanceof CidrValue)) return false;
    return other.network.prefix === this.network.prefix && same(other.network.address, this.network.address);
  }
}

const same = (a: Address, b: Address): boolean => a.family === b.family && a.value === b.value;

function ip(text: string): IpValue {
  const address = parseAddress(text);
  if (!address)
    throw new CelError(
      `IP Address ${JSON.stringify(text)} parse error during conversion from string: unable to parse IP`,
    );
  return new IpValue(address);
}

function cidr(text: string): CidrValue {
  const network = parseNetwork(text);
  if (!network)
    throw new CelError(
      `network address parse error during conversion from string: unable to parse CIDR ${JSON.stringify(text)}`,
    );
  return new CidrValue(network);
}

const isCanonical = (text: string): boolean => addressText(ip(text).address) === text;
const networkText = ({ network: { address, prefix } }: CidrValue): string =>
  `${addressText(address)}/${prefix}`;

const containsIp = ({ network }: CidrValue, other: IpValue | string): boolean =>
  containsAddress(network, (typeof other === 'string' ? ip(other) : other).address);

function containsCidr({ network }: CidrValue, other: CidrValue | string): boolean {
  const inner = masked((typeof other === 'string' ? cidr(other) : other).network);
  return inner.prefix >= network.prefix && containsAddress(network, inner.address);
}

/** Whether the top `bits` of the address are those of `prefix`, for its family. */
const within =
  (v4: string | undefined, v6: string) =>
  ({ address }: IpValue): boolean => {
    const network = address.family === 4 ? v4 : v6;
    return network !== undefined && containsAddress(parseNetwork(network)!, address);
  };

const cheap = () => 1;
const pairCost = (args: any[]) => {
  const [network, other] = args as [CidrValue, CidrValue | string];
  return traverse(network.size * 2) + (typeof other === 'string' ? traverse(other.length) : 0);
};
const nestedCost = (args: any[]) => pairCost(args) + traverse((args[0] as CidrValue).size) + 1;

const isGlobal = (value: IpValue): boolean =>
  ![
    within('0.0.0.0/32', '::/128'),
    within('255.255.255.255/32', '::/128'),
    within('127.0.0.0/8', '::1/128'),
    within('224.0.0.0/4', 'ff00::/8'),
    within('169.254.0.0/16', 'fe80::/10'),
  ].some((special) => special(value));

export const addresses: Overload[] = [
  func(`ip(string): ${IP}`, ip, once),
  func('isIP(string): bool', (text: string) => parseAddress(text) !== undefined, once),
  func('ip.isCanonical(string): bool', isCanonical, twice),
  func(`string(${IP}): string`, ({ address }: IpValue) => addressText(address)),
  method(IP, 'family(): int', ({ address }: IpValue) => BigInt(address.family), cheap),
  method(IP, 'isUnspecified(): bool', within('0.0.0.0/32', '::/128'), cheap),
  method(IP, 'isLoopback(): bool', within('127.0.0.0/8', '::1/128'), cheap),
  method(IP, 'isLinkLocalMulticast(): bool', within('224.0.0.0/24', 'ff02::/16'), cheap),
  method(IP, 'isLinkLocalUnicast(): bool', within('169.254.0.0/16', 'fe80::/10'), cheap),
  method(IP, 'isGlobalUnicast(): bool', isGlobal, cheap),
  func(`cidr(string): ${CIDR}`, cidr, once),
  func('isCIDR(string): bool', (text: string) => parseNetwork(text) !== undefined, once),
  func(`string(${CIDR}): string`, networkText),
  method(CIDR, `containsIP(${IP}): bool`, containsIp, pairCost),
  method(CIDR, 'containsIP(string): bool', containsIp, pairCost),
  method(CIDR, `containsCIDR(${CIDR}): bool`, containsCidr, nestedCost),
  method(CIDR, 'containsCIDR(string): bool', containsCidr, nestedCost),
  method(CIDR, `ip(): ${IP}`, ({ network }: CidrValue) => new IpValue(network.address), cheap),
  method(CIDR, `masked(): ${CIDR}`, ({ network }: CidrValue) => new CidrValue(masked(network)), cheap),
  method(CIDR, 'prefixLength(): int', ({ network }: CidrValue) => BigInt(network.prefix), cheap),
];
