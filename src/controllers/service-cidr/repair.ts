/** Every address of a Service has its IPAddress, and every IPAddress of the allocator its Service. */
import type { IPAddress, Service, ServiceCIDR } from '#types';
import { isReason } from '../../api/machinery/status.js';
import { objectKey } from '../../api/machinery/types.js';
import { ipAddresses, serviceCidrs, services } from '../../api/resources/index.js';
import {
  clusterIpsOf,
  hasAllocatorLabels,
  IP_ALLOCATOR,
  MANAGED_BY_LABEL,
  serviceIpAddress,
  serviceOfAddress,
} from '../../api/resources/networking/ip-address.js';
import { containsAddress } from '../../api/resources/networking/service-cidr.js';
import { type Controller, type ControllersOptions, contextOf, WorkLoop } from '../context.js';

/** An address without a Service may be of one that is about to be written. */
const GRACE_MS = 60_000;

const SERVICE = 'service ';
const ADDRESS = 'address ';

export function startIpAddressRepair(options: ControllersOptions): Controller {
  const context = contextOf(options, 'ipallocator-repair-controller');
  const allServices = context.informers.of(services);
  const ranges = context.informers.of<ServiceCIDR>(serviceCidrs);
  const addresses = context.informers.of<IPAddress>(ipAddresses, {
    indexes: { service: (address) => [serviceOfAddress(address) ?? ''] },
  });
  const client = context.client.of<IPAddress>(ipAddresses);

  /** A Service and its addresses are written at once, but the caches hear of them one after the other. */
  const newest = async <T>(get: Promise<T>): Promise<T | undefined> => {
    try {
      return await get;
    } catch (error) {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    }
  };
  const serviceNow = (key: string) => {
    const [namespace = '', name = ''] = key.split('/');
    return newest(context.client.of(services).get(namespace, name));
  };
  const has = (service: Service | undefined, ip: string) =>
    service !== undefined && clusterIpsOf(service).includes(ip);
  const warn = (object: Service | IPAddress, reason: string, message: string) =>
    context.events.event(object, 'Warning', reason, message);

  const repair = async (ip: string, key: string): Promise<void> => {
    const service = await serviceNow(key);
    if (!service || !has(service, ip)) return;
    const family = ip.includes(':') ? 'IPv6' : 'IPv4';
    const address = await newest(client.get('', ip));
    const user = address && serviceOfAddress(address);
    if (address && user === key && hasAllocatorLabels(address)) return;
    if (address && user !== undefined && user !== key && has(await serviceNow(user), ip)) {
      const text = `Cluster IP [${family}]:${ip} was assigned to multiple services; please recreate service`;
      return warn(service, 'ClusterIPAlreadyAllocated', text);
    }
    if (!address) {
      const text = `Cluster IP [${family}]: ${ip} is not allocated; repairing`;
      warn(service, 'ClusterIPNotAllocated', text);
    } else if (user !== key) {
      const text = `the ClusterIP [${family}]: ${ip} for Service ${key} has a wrong reference; repairing`;
      warn(service, 'ClusterIPNotAllocated', text);
    }
    if (address) await newest(client.delete('', ip));
    await client.create(serviceIpAddress(ip, service));
  };

  const reconcileService = async (key: string): Promise<void> => {
    const service = allServices.get(key);
    if (!service) return;
    for (const ip of clusterIpsOf(service)) {
      if (!ranges.list().some((range) => containsAddress(range, ip))) {
        const family = ip.includes(':') ? 'IPv6' : 'IPv4';
        const text = `Cluster IP [${family}]: ${ip} is not within any configured Service CIDR; please recreate service`;
        warn(service, 'ClusterIPOutOfRange', text);
        continue;
      }
      const address = addresses.get(ip);
      if (!address || serviceOfAddress(address) !== key || !hasAllocatorLabels(address))
        await repair(ip, key);
    }
  };

  const reconcileAddress = async (ip: string): Promise<void> => {
    const address = addresses.get(ip);
    if (!address || address.metadata.labels?.[MANAGED_BY_LABEL] !== IP_ALLOCATOR) return;
    const key = serviceOfAddress(address);
    if (key === undefined) {
      const text = `IPAddress ${ip} appears to have been modified, not referencing a Service: cleaning up`;
      return remove(address, 'IPAddressNotAllocated', text);
    }
    if (has(allServices.get(key), ip)) return;
    const service = await serviceNow(key);
    if (has(service, ip)) return;
    if (service)
      return remove(
        address,
        'IPAddressWrongReference',
        `IPAddress: ${ip} for Service ${key} has a wrong reference; cleaning up`,
      );
    const age = context.clock.now() - Date.parse(String(address.metadata.creationTimestamp));
    if (age < GRACE_MS) return loop.queue.addAfter(ADDRESS + ip, GRACE_MS - age);
    await remove(
      address,
      'IPAddressNotAllocated',
      `IPAddress: ${ip} for Service ${key} appears to have leaked: cleaning up`,
    );
  };

  const remove = async (address: IPAddress, reason: string, text: string): Promise<void> => {
    const { name, uid } = address.metadata;
    const gone = await newest(client.delete('', name, { preconditions: { uid } }));
    if (gone !== undefined) warn(address, reason, text);
  };

  const reconcile = (key: string): Promise<void> =>
    key.startsWith(SERVICE)
      ? reconcileService(key.slice(SERVICE.length))
      : reconcileAddress(key.slice(ADDRESS.length));

  const loop = new WorkLoop(context, [allServices.synced, ranges.synced, addresses.synced], reconcile, 2);
  const addService = (service: Service) => {
    const key = objectKey(service);
    loop.queue.add(SERVICE + key);
    for (const { metadata } of addresses.byIndex('service', key)) loop.queue.add(ADDRESS + metadata.name);
  };
  const addAddress = (address: IPAddress) => {
    loop.queue.add(ADDRESS + address.metadata.name);
    const key = serviceOfAddress(address);
    if (key !== undefined && allServices.get(key)) loop.queue.add(SERVICE + key);
  };
  loop.onClose(
    allServices.on({
      added: addService,
      updated: (_, service) => addService(service),
      deleted: addService,
    }),
    addresses.on({
      added: addAddress,
      updated: (_, address) => addAddress(address),
      deleted: (address) => addAddress(address),
    }),
  );
  return loop;
}
