/** Services. */
import type { Service } from '#types';
import { index } from '../../machinery/field.js';
import { cidrWarnings, ipWarnings } from '../../machinery/ip.js';
import { dns1035Label } from '../../machinery/names.js';
import { ageColumn, formatLabels, nameColumn } from '../columns.js';
import { type Column, defineResource } from '../define.js';
import { defaultService } from './service-spec.js';
import { prepareForCreate, prepareForUpdate } from './service-strategy.js';
import {
  TOPOLOGY_HINTS,
  validateService,
  validateServiceStatus,
  validateServiceUpdate,
} from './service-validation.js';

function externalIps(service: Service): string {
  const { spec } = service;
  const own = spec.externalIPs ?? [];
  switch (spec.type) {
    case 'ClusterIP':
    case 'NodePort':
      return own.join(',') || '<none>';
    case 'LoadBalancer': {
      const ingress = service.status?.loadBalancer?.ingress ?? [];
      const balancers = [...new Set(ingress.map((i) => i.ip || i.hostname || ''))].sort();
      return [...balancers.filter(Boolean), ...own].join(',') || '<pending>';
    }
    case 'ExternalName':
      return spec.externalName ?? '';
    default:
      return '<unknown>';
  }
}

function ports({ spec }: Service): string {
  const shown = (spec.ports ?? []).map((port) =>
    port.nodePort ? `${port.port}:${port.nodePort}/${port.protocol}` : `${port.port}/${port.protocol}`,
  );
  return shown.join(',') || '<none>';
}

const columns: Column<Service>[] = [
  nameColumn,
  {
    name: 'Type',
    type: 'string',
    description: 'How the service is reached.',
    cell: (service) => service.spec.type ?? '',
  },
  {
    name: 'Cluster-IP',
    type: 'string',
    description: 'Address within the cluster.',
    cell: (service) => service.spec.clusterIPs?.[0] || service.spec.clusterIP || '<none>',
  },
  {
    name: 'External-IP',
    type: 'string',
    description: 'Addresses or name outside the cluster.',
    cell: externalIps,
  },
  { name: 'Port(s)', type: 'string', description: 'Ports, with node ports and protocols.', cell: ports },
  ageColumn,
  {
    name: 'Selector',
    type: 'string',
    priority: 1,
    description: 'Labels of the pods behind the service.',
    cell: (service) => formatLabels(service.spec.selector),
  },
];

export const services = defineResource<Service>({
  group: '',
  version: 'v1',
  kind: 'Service',
  plural: 'services',
  shortNames: ['svc'],
  categories: ['all'],
  namespaced: true,
  subresources: [
    { name: 'proxy', kind: 'ServiceProxyOptions', verbs: ['create', 'delete', 'get', 'patch', 'update'] },
    { name: 'status', kind: 'Service', verbs: ['get', 'patch', 'update'] },
  ],
  validateName: dns1035Label,
  defaults: defaultService,
  prepareForCreate,
  prepareForUpdate,
  prepareForStatusUpdate(service, old) {
    service.spec = old.spec;
  },
  validate: validateService,
  validateUpdate: validateServiceUpdate,
  validateStatusUpdate: validateServiceStatus,
  warnings,
  columns,
  fields: {
    'spec.clusterIP': (service) => service.spec.clusterIP ?? '',
    'spec.type': (service) => service.spec.type ?? '',
  },
});

/** Fields that have no effect, or are on their way out. */
function warnings(service: Service): string[] {
  const texts: string[] = [];
  const { spec } = service;
  const headless = spec.type === 'ClusterIP' && spec.clusterIP === 'None';
  const external = (spec.externalIPs?.length ?? 0) > 0;
  if (service.metadata.annotations?.[TOPOLOGY_HINTS] !== undefined)
    texts.push(
      `annotation ${TOPOLOGY_HINTS} is deprecated, please use service.kubernetes.io/topology-mode instead`,
    );
  if (!headless)
    spec.clusterIPs?.forEach((ip, i) => {
      texts.push(...ipWarnings(ip, index('spec.clusterIPs', i)));
    });
  if (headless) {
    if (spec.loadBalancerIP) texts.push('spec.loadBalancerIP is ignored for headless services');
    if (external) texts.push('spec.externalIPs is ignored for headless services');
    if (spec.sessionAffinity !== 'None') texts.push('spec.SessionAffinity is ignored for headless services');
  }
  texts.push(...addressWarnings(service));
  if (external && !headless && spec.type !== 'ExternalName')
    texts.push('spec.externalIPs is deprecated and may no longer be implemented in some clusters');
  if (external && spec.type === 'ExternalName')
    texts.push('spec.externalIPs is ignored when spec.type is "ExternalName"');
  if (spec.externalName && spec.type !== 'ExternalName')
    texts.push('spec.externalName is ignored when spec.type is not "ExternalName"');
  if (spec.trafficDistribution === 'PreferClose')
    texts.push('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"');
  return texts;
}

/** Addresses that are valid but not in their canonical form. */
function addressWarnings({ spec }: Service): string[] {
  return [
    ...(spec.loadBalancerIP ? ipWarnings(spec.loadBalancerIP, 'spec.loadBalancerIP') : []),
    ...(spec.externalIPs ?? []).flatMap((ip, i) => ipWarnings(ip, index('spec.externalIPs', i))),
    ...(spec.loadBalancerSourceRanges ?? []).flatMap((range, i) =>
      cidrWarnings(range.trim(), index('spec.loadBalancerSourceRanges', i)),
    ),
  ];
}
