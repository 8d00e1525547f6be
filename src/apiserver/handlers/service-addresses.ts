/** The IPAddresses of a Service are written and removed together with it, in one commit. */
import type { IPAddress, Service } from '#types';
import { invalid as invalidField } from '../../api/machinery/field.js';
import { invalid } from '../../api/machinery/status.js';
import { type KubeObject, objectKey } from '../../api/machinery/types.js';
import type { Resource } from '../../api/resources/define.js';
import {
  clusterIpsOf,
  ipAddresses,
  serviceIpAddress,
  serviceOfAddress,
} from '../../api/resources/networking/ip-address.js';
import type { Write } from '../../store/store.js';
import type { Context } from '../context.js';
import { keyOf } from '../keys.js';
import { deletion } from './delete.js';
import { trackOwn } from './managed-fields.js';
import { stampNew } from './metadata.js';

/** Its manager in upstream's clusters. */
const MANAGER = 'kube-apiserver';

/** As of any kind. */
const ADDRESSES = ipAddresses as unknown as Resource;

export const isService = ({ group, kind }: Resource): boolean => group === '' && kind === 'Service';

/** What must be written besides a Service that was `old` (undefined: is new) and becomes `next` (undefined: is gone). Throws 422. */
export function addressWrites(
  ctx: Context,
  next: KubeObject | undefined,
  old: KubeObject | undefined,
): Write[] {
  const ips = (service: KubeObject | undefined) =>
    service ? clusterIpsOf(service as unknown as Service) : [];
  const [now, before] = [ips(next), ips(old)];
  return [
    ...now.filter((ip) => !before.includes(ip)).flatMap((ip) => given(ctx, ip, next as unknown as Service)),
    ...before.filter((ip) => !now.includes(ip)).flatMap((ip) => released(ctx, ip, old!)),
  ];
}

/** Nothing where the address refers to the Service already. */
function given(ctx: Context, ip: string, service: Service): Write[] {
  const key = keyOf(ipAddresses, '', ip);
  const stored = ctx.store.get(key);
  if (stored) {
    if (serviceOfAddress(stored.object as IPAddress) === objectKey(service)) return [];
    const why = `failed to allocate IP ${ip}: provided IP is already allocated`;
    throw invalid('', 'Service', service.metadata.name, [invalidField('spec.clusterIPs', [ip], why)]);
  }
  const object = serviceIpAddress(ip, service);
  const now = ctx.clock.now();
  stampNew(ADDRESSES, object, now);
  trackOwn(ADDRESSES, object, MANAGER, now);
  return [{ key, object, expected: 0 }];
}

/** Nothing where the address is another's, or has been removed by hand. */
function released(ctx: Context, ip: string, { metadata }: KubeObject): Write[] {
  const stored = ctx.store.get(keyOf(ipAddresses, '', ip));
  const user = stored && serviceOfAddress(stored.object as IPAddress);
  if (!stored || user !== objectKey({ metadata })) return [];
  const { key, revision: expected } = stored;
  const change = deletion(ADDRESSES, stored, { dryRun: false }, ctx.clock.now());
  if ('put' in change) return [{ key, object: change.put, expected }];
  return [{ key, object: null, expected, last: change.remove }];
}
