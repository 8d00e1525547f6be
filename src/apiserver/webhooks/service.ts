/** Which address answers for a Service that a webhook's configuration names, as this process reaches it. */
import type { EndpointSlice, Service } from '#types';
import type { Store } from '../../store/store.js';

export interface ServiceReference {
  namespace: string;
  name: string;
  /** 443 when absent. */
  port?: number;
  path?: string;
}

export interface Address {
  host: string;
  port: number;
}

/**
 * A ready endpoint of the Service: pods are reached directly, wherever the Service's own address is translated.
 * Throws Error in upstream's words where there is none.
 */
export async function resolveService(store: Store, reference: ServiceReference): Promise<Address> {
  const { namespace, name, port = 443 } = reference;
  const service = store.get(`core/services/${namespace}/${name}`)?.object as Service | undefined;
  if (!service) throw new Error(`service "${name}" not found`);
  if (service.spec?.type === 'ExternalName') return { host: service.spec.externalName!, port };
  const declared = service.spec?.ports?.find((each) => each.port === port);
  if (!declared) throw new Error(`no service port ${port} found for service "${name}"`);
  const candidates = await endpointsOf(store, namespace, name, declared.name ?? '');
  if (candidates.length === 0) throw new Error(`no endpoints available for service "${name}"`);
  return candidates[Math.floor(Math.random() * candidates.length)]!;
}

async function endpointsOf(
  store: Store,
  namespace: string,
  name: string,
  portName: string,
): Promise<Address[]> {
  const { items } = await store.list(`discovery.k8s.io/endpointslices/${namespace}/`);
  return items.flatMap(({ object }) => {
    const slice = object as unknown as EndpointSlice;
    if (slice.metadata?.labels?.['kubernetes.io/service-name'] !== name) return [];
    const port = slice.ports?.find((each) => (each.name ?? '') === portName)?.port;
    if (port === undefined) return [];
    return (slice.endpoints ?? [])
      .filter(({ conditions }) => conditions?.ready !== false)
      .flatMap(({ addresses }) => (addresses[0] === undefined ? [] : [{ host: addresses[0], port }]));
  });
}
