/** Gives Services of type LoadBalancer their addresses: those of the nodes, or of a pool. */
import type { Service } from '#types';
import { isReason } from '../../api/machinery/status.js';
import { objectKey } from '../../api/machinery/types.js';
import { sameJson } from '../../api/machinery/validation.js';
import { LOAD_BALANCER_NODE } from '../../api/resources/core/load-balancer.js';
import { endpointSlices, nodes, services } from '../../api/resources/index.js';
import { type Controller, type ControllersOptions, contextOf, WorkLoop } from '../context.js';
import { type Assignment, isOurs, planLoadBalancers } from './plan.js';
import { parsePool } from './pool.js';

/** All are planned at once: who has an address decides what is left for others. */
const ALL = 'all';
const SERVICE_LABEL = 'kubernetes.io/service-name';

export function startLoadBalancerController(options: ControllersOptions): Controller {
  const context = contextOf(options, 'service-controller');
  const pool = options.loadBalancerPool ? parsePool(options.loadBalancerPool) : undefined;
  const allServices = context.informers.of(services);
  const allNodes = context.informers.of(nodes);
  const slices = context.informers.of(endpointSlices, {
    indexes: {
      service: ({ metadata }) => [`${metadata.namespace}/${metadata.labels?.[SERVICE_LABEL] ?? ''}`],
    },
  });
  const client = context.client.of(services);
  /** What was last said of each Service, so that it is said once. */
  const told = new Map<string, string>();

  const apply = async (service: Service, { addresses, node, problem }: Assignment): Promise<void> => {
    const { namespace = '', name, uid, annotations } = service.metadata;
    if (annotations?.[LOAD_BALANCER_NODE] !== node) {
      const patch = { metadata: { uid, annotations: { [LOAD_BALANCER_NODE]: node ?? null } } };
      await client.patch(namespace, name, patch, { type: 'merge' });
    }
    const wanted = addresses.map((ip) => ({ ip, ipMode: 'VIP' }));
    if (!sameJson(service.status?.loadBalancer?.ingress ?? [], wanted)) {
      const patch = { metadata: { uid }, status: { loadBalancer: { ingress: wanted } } };
      await client.patch(namespace, name, patch, { type: 'merge', subresource: 'status' });
      if (wanted.length > 0)
        context.events.event(service, 'Normal', 'EnsuredLoadBalancer', 'Ensured load balancer');
    }
    const text = problem ?? '';
    if (text !== '' && told.get(uid ?? '') !== text)
      context.events.event(
        service,
        'Warning',
        'SyncLoadBalancerFailed',
        `Error syncing load balancer: failed to ensure load balancer: ${text}`,
      );
    told.set(uid ?? '', text);
  };

  const reconcile = async (): Promise<void> => {
    const plan = planLoadBalancers({
      services: allServices.list(),
      nodes: allNodes.list(),
      slices: (service) => slices.byIndex('service', objectKey(service)),
      pool,
    });
    let failure: unknown;
    for (const service of allServices.list()) {
      const assignment = plan.get(objectKey(service)) ?? releasing(service);
      if (!assignment) continue;
      await apply(service, assignment).catch((error) => {
        if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict')) failure = error;
      });
    }
    if (failure) throw failure;
  };

  const loop = new WorkLoop(context, [allServices.synced, allNodes.synced, slices.synced], reconcile, 1);
  const replan = () => loop.queue.add(ALL);
  const serviceChanged = (service: Service) => {
    if (isOurs(service) || releasing(service)) replan();
  };
  loop.onClose(
    allServices.on({
      added: serviceChanged,
      updated: (_, service) => serviceChanged(service),
      deleted(service) {
        told.delete(service.metadata.uid ?? '');
        replan();
      },
    }),
    allNodes.on({ added: replan, updated: replan, deleted: replan }),
    slices.on({
      added: (slice) => sliceChanged(slice.metadata),
      updated: (_, slice) => sliceChanged(slice.metadata),
      deleted: (slice) => sliceChanged(slice.metadata),
    }),
  );
  /** Endpoints matter only where they decide which nodes serve. */
  const sliceChanged = ({ namespace, labels }: Service['metadata']) => {
    const service = allServices.get(`${namespace}/${labels?.[SERVICE_LABEL]}`);
    if (service && isOurs(service) && service.spec.externalTrafficPolicy === 'Local') replan();
  };
  return loop;
}

/** A Service that is of that type no longer has no such address. */
function releasing({ spec, status, metadata }: Service): Assignment | undefined {
  if (spec.type === 'LoadBalancer' || metadata.deletionTimestamp) return undefined;
  const has = (status?.loadBalancer?.ingress?.length ?? 0) > 0 || metadata.annotations?.[LOAD_BALANCER_NODE];
  return has ? { addresses: [] } : undefined;
}
