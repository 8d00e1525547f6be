/** Service ranges: whether they are ready, and that none goes while addresses of it are in use (KEP-1880). */
import type { IPAddress, ServiceCIDR } from '#types';
import { timestamp } from '../../api/machinery/clock.js';
import { prefixCovers } from '../../api/machinery/prefix.js';
import { isReason } from '../../api/machinery/status.js';
import { produce } from '../../api/machinery/types.js';
import { sameJson } from '../../api/machinery/validation.js';
import { ipAddresses, serviceCidrs } from '../../api/resources/index.js';
import { IP_ALLOCATOR, MANAGED_BY_LABEL } from '../../api/resources/networking/ip-address.js';
import { containsAddress, SERVICE_CIDR_FINALIZER } from '../../api/resources/networking/service-cidr.js';
import { type Controller, type ControllersOptions, contextOf, WorkLoop } from '../context.js';

export { startIpAddressRepair } from './repair.js';

/** Who saw the range as usable a moment before its deletion has written its Service by then. */
const GRACE_MS = 1000;

export function startServiceCidrController(options: ControllersOptions): Controller {
  const context = contextOf(options, 'service-cidrs-controller');
  const ranges = context.informers.of<ServiceCIDR>(serviceCidrs);
  const addresses = context.informers.of<IPAddress>(ipAddresses);
  const client = context.client.of<ServiceCIDR>(serviceCidrs);

  const setReady = async (
    range: ServiceCIDR,
    wanted: { status: string; reason: string; message: string },
  ) => {
    const others = (range.status?.conditions ?? []).filter(({ type }) => type !== 'Ready');
    const old = range.status?.conditions?.find(({ type }) => type === 'Ready');
    const lastTransitionTime =
      old?.status === wanted.status ? old.lastTransitionTime : timestamp(context.clock.now());
    const ready = { type: 'Ready', ...wanted, lastTransitionTime };
    if (old && sameJson({ ...old, reason: old.reason ?? '' }, ready)) return;
    const { name, resourceVersion } = range.metadata;
    const patch = { metadata: { resourceVersion }, status: { conditions: [...others, ready] } };
    await client.patch('', name, patch, { type: 'merge', subresource: 'status' });
  };

  const isInUse = (range: ServiceCIDR): boolean => {
    const others = ranges.list().filter(({ metadata }) => metadata.name !== range.metadata.name);
    const hasHeir = (cidr: string) =>
      others.some((other) => (other.spec?.cidrs ?? []).some((outer) => prefixCovers(outer, cidr)));
    if ((range.spec?.cidrs ?? []).every(hasHeir)) return false;
    return addresses
      .list()
      .some(
        (address) =>
          address.metadata.labels?.[MANAGED_BY_LABEL] === IP_ALLOCATOR &&
          containsAddress(range, address.metadata.name) &&
          !others.some((other) => containsAddress(other, address.metadata.name)),
      );
  };

  const release = async (range: ServiceCIDR): Promise<void> => {
    if (!range.metadata.finalizers?.includes(SERVICE_CIDR_FINALIZER)) return;
    if (isInUse(range))
      return setReady(range, {
        status: 'False',
        reason: 'Terminating',
        message:
          'There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR',
      });
    const age = context.clock.now() - Date.parse(String(range.metadata.deletionTimestamp));
    if (age < GRACE_MS) return loop.queue.addAfter(range.metadata.name, GRACE_MS - age);
    await client.update(
      produce(range, ({ metadata }) => {
        metadata.finalizers = metadata.finalizers?.filter((name) => name !== SERVICE_CIDR_FINALIZER);
      }),
    );
  };

  const protect = async (range: ServiceCIDR): Promise<ServiceCIDR> => {
    if (range.metadata.finalizers?.includes(SERVICE_CIDR_FINALIZER)) return range;
    return client.update(
      produce(range, ({ metadata }) => {
        metadata.finalizers = [...(metadata.finalizers ?? []), SERVICE_CIDR_FINALIZER];
      }),
    );
  };

  const reconcile = async (name: string): Promise<void> => {
    const range = ranges.get(name);
    if (!range) return;
    try {
      if (range.metadata.deletionTimestamp) return await release(range);
      const message = 'Kubernetes Service CIDR is ready';
      await setReady(await protect(range), { status: 'True', reason: '', message });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  };

  // One at a time: of two ranges that go, one may have been the other's heir.
  const loop = new WorkLoop(context, [ranges.synced, addresses.synced], reconcile, 1);
  const add = ({ metadata }: ServiceCIDR) => loop.queue.add(metadata.name);
  /** What comes or goes may decide on ranges that are to go. */
  const addEnding = () => {
    for (const range of ranges.list()) if (range.metadata.deletionTimestamp) add(range);
  };
  const addAll = (range: ServiceCIDR) => {
    add(range);
    addEnding();
  };
  loop.onClose(
    ranges.on({ added: addAll, updated: (_, range) => addAll(range), deleted: addEnding }),
    addresses.on({ added: addEnding, deleted: addEnding }),
  );
  return loop;
}
