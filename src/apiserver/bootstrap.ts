/** What every cluster has from its first start: the system's namespaces and priority classes, the `kubernetes` and the `kube-dns` Service. */
import type { EndpointSlice, Endpoints, IPAddress, Namespace, Service, ServiceCIDR } from '#types';
import { familyOf } from '../api/machinery/prefix.js';
import { isReason } from '../api/machinery/status.js';
import type { KubeObject } from '../api/machinery/types.js';
import { sameJson } from '../api/machinery/validation.js';
import type { Resource } from '../api/resources/define.js';
import {
  endpointSlices,
  endpoints,
  ingressClasses,
  ipAddresses,
  namespaces,
  priorityClasses,
  serviceCidrs,
  services,
  storageClasses,
} from '../api/resources/index.js';
import { keelsonIngressClass } from '../api/resources/networking/ingress-controller.js';
import { clusterIpsOf, serviceIpAddress } from '../api/resources/networking/ip-address.js';
import { DEFAULT_SERVICE_CIDR } from '../api/resources/networking/service-cidr.js';
import { systemPriorityClasses } from '../api/resources/scheduling/priority-class.js';
import { localPathClass } from '../api/resources/storage/storage-class.js';
import { Client } from '../client/client.js';
import type { Transport } from '../client/transport.js';
import type { Key, Store } from '../store/store.js';
import { keyOf, prefixOf } from './keys.js';

const NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

/** Makes the namespaces that are missing. */
export async function ensureNamespaces(transport: Transport): Promise<void> {
  const client = new Client(transport).of(namespaces as Resource<Namespace & KubeObject>);
  for (const name of NAMESPACES) {
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
    await client.create(namespace as Namespace & KubeObject).catch((error) => {
      if (!isReason(error, 'AlreadyExists')) throw error;
    });
  }
}

/** Makes the priority classes of the system that are missing. */
export async function ensurePriorityClasses(transport: Transport): Promise<void> {
  const client = new Client(transport).of(priorityClasses);
  for (const priorityClass of systemPriorityClasses)
    await client.create(priorityClass).catch((error) => {
      if (!isReason(error, 'AlreadyExists')) throw error;
    });
}

/** Makes the class of Ingresses that Keelson itself serves, if it is missing. */
export async function ensureIngressClass(transport: Transport): Promise<void> {
  await new Client(transport)
    .of(ingressClasses)
    .create(keelsonIngressClass)
    .catch((error) => {
      if (!isReason(error, 'AlreadyExists')) throw error;
    });
}

/** Makes the class of volumes that Keelson itself provisions, if it is missing. */
export async function ensureStorageClass(transport: Transport): Promise<void> {
  await new Client(transport)
    .of(storageClasses)
    .create(localPathClass)
    .catch((error) => {
      if (!isReason(error, 'AlreadyExists')) throw error;
    });
}

/**
 * Makes the ranges of addresses for Services that the server was told of, if there are none yet; a second IP family is
 * added to those of before.
 */
export async function ensureServiceCidr(transport: Transport, cidrs: string[]): Promise<void> {
  const client = new Client(transport).of<ServiceCIDR>(serviceCidrs);
  try {
    await client.create({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'ServiceCIDR',
      metadata: { name: DEFAULT_SERVICE_CIDR } as ServiceCIDR['metadata'],
      spec: { cidrs },
    });
  } catch (error) {
    if (!isReason(error, 'AlreadyExists')) throw error;
    const { spec } = await client.get('', DEFAULT_SERVICE_CIDR);
    if (cidrs.length === 2 && sameJson(spec?.cidrs, cidrs.slice(0, 1)))
      await client.patch('', DEFAULT_SERVICE_CIDR, { spec: { cidrs } }, { type: 'merge' });
  }
}

/** The ServiceCIDR that {@link ensureServiceCidr} makes. */
export const SERVICE_CIDR_KEY = keyOf(serviceCidrs, '', DEFAULT_SERVICE_CIDR);

/** Services that were made before there were IPAddresses get theirs. */
export async function ensureIpAddresses(transport: Transport, store: Store): Promise<void> {
  const client = new Client(transport).of<IPAddress>(ipAddresses);
  const { items } = await store.list(prefixOf(services, ''));
  for (const { object } of items)
    for (const ip of clusterIpsOf(object as unknown as Service)) {
      if (store.get(keyOf(ipAddresses, '', ip))) continue;
      await client.create(serviceIpAddress(ip, object as unknown as Service)).catch((error) => {
        if (!isReason(error, 'AlreadyExists')) throw error;
      });
    }
}

export interface ServerAddress {
  /** Where pods reach the API server; nothing leads there if it is a loopback address. */
  address: string;
  port: number;
  /** The first address of the service range. */
  clusterIp: string;
}

const leadsNowhere = (ip: string): boolean => ip.startsWith('127.') || ['0.0.0.0', '::', '::1'].includes(ip);

/** Makes the Service by which pods reach the API, and lets it lead to this server. */
export async function ensureKubernetesService(transport: Transport, where: ServerAddress): Promise<void> {
  const client = new Client(transport);
  await put(client, services, kubernetesService(where));
  if (leadsNowhere(where.address)) return;
  await put(client, endpoints, kubernetesEndpoints(where));
  await put(client, endpointSlices, kubernetesSlice(where));
}

/** A Service and what tells where it leads. */
export const keysOfService = (namespace: string, name: string): Key[] =>
  [services, endpoints, endpointSlices].map((resource) => keyOf(resource, namespace, name));

/**
 * Makes the Service of the cluster's DNS. Every node answers at its address itself, so that it leads to that very
 * address: whoever translates it changes nothing.
 */
export async function ensureDnsService(transport: Transport, clusterIp: string): Promise<void> {
  const client = new Client(transport);
  await put(client, services, dnsService(clusterIp));
  await put(client, endpoints, dnsEndpoints(clusterIp));
  await put(client, endpointSlices, dnsSlice(clusterIp));
}

/** Creates `object`, or brings what it says into the one that is there. */
async function put(client: Client, resource: Resource<any>, object: any): Promise<void> {
  const of = client.of<any>(resource);
  const { namespace, name } = object.metadata;
  try {
    await of.create(object);
  } catch (error) {
    if (!isReason(error, 'AlreadyExists')) throw error;
    const { metadata: _, ...wanted } = object;
    const existing = await of.get(namespace, name);
    if (Object.entries(wanted).some(([field, value]) => !sameJson(existing[field], value)))
      await of.patch(namespace, name, wanted, { type: 'merge' });
  }
}

const METADATA = { name: 'kubernetes', namespace: 'default' };

const kubernetesService = ({ clusterIp, port }: ServerAddress): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { ...METADATA, labels: { component: 'apiserver', provider: 'kubernetes' } },
  spec: {
    clusterIP: clusterIp,
    type: 'ClusterIP',
    sessionAffinity: 'None',
    ports: [{ name: 'https', protocol: 'TCP', port: 443, targetPort: port }],
  },
});

const kubernetesEndpoints = ({ address, port }: ServerAddress): Endpoints => ({
  apiVersion: 'v1',
  kind: 'Endpoints',
  metadata: { ...METADATA, labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } },
  subsets: [{ addresses: [{ ip: address }], ports: [{ name: 'https', port, protocol: 'TCP' }] }],
});

const kubernetesSlice = ({ address, port }: ServerAddress): EndpointSlice => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { ...METADATA, labels: { 'kubernetes.io/service-name': 'kubernetes' } },
  addressType: familyOf(address),
  endpoints: [{ addresses: [address], conditions: { ready: true } }],
  ports: [{ name: 'https', port, protocol: 'TCP' }],
});

const DNS_METADATA = { name: 'kube-dns', namespace: 'kube-system' };
const DNS_PORTS = [
  { name: 'dns', protocol: 'UDP', port: 53 },
  { name: 'dns-tcp', protocol: 'TCP', port: 53 },
] as const;

const dnsService = (clusterIP: string): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: {
    ...DNS_METADATA,
    labels: {
      'k8s-app': 'kube-dns',
      'kubernetes.io/cluster-service': 'true',
      'kubernetes.io/name': 'KubeDNS',
    },
  },
  spec: {
    clusterIP,
    type: 'ClusterIP',
    ports: DNS_PORTS.map((port) => ({ ...port, targetPort: port.port })),
  },
});

const dnsEndpoints = (ip: string): Endpoints => ({
  apiVersion: 'v1',
  kind: 'Endpoints',
  metadata: { ...DNS_METADATA, labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } },
  subsets: [{ addresses: [{ ip }], ports: [...DNS_PORTS] }],
});

const dnsSlice = (ip: string): EndpointSlice => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { ...DNS_METADATA, labels: { 'kubernetes.io/service-name': 'kube-dns' } },
  addressType: familyOf(ip),
  endpoints: [{ addresses: [ip], conditions: { ready: true } }],
  ports: [...DNS_PORTS],
});
