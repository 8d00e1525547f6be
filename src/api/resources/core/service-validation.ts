/** Validation of Services. */
import { isIP } from 'node:net';
import type { Service, ServicePort } from '#types';
import {
  child,
  duplicate,
  type FieldError,
  forbidden,
  index,
  invalid,
  key,
  notSupported,
  required,
} from '../../machinery/field.js';
import { validateCidr, validateIp, validateNonSpecialIp } from '../../machinery/ip.js';
import * as names from '../../machinery/names.js';
import {
  validateDns1123Label,
  validateDns1123Subdomain,
  validateLabels,
  validatePortNumOrName,
  validateQualifiedName,
} from '../../machinery/validation.js';
import { PROTOCOLS } from './podspec/validate-containers.js';
import { validateClusterIps, validateSameList } from './service-addresses.js';
import { isExternallyAccessible, isHeadless, needsHealthCheck } from './service-spec.js';

const TYPES = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const DISTRIBUTIONS = ['PreferClose', 'PreferSameNode', 'PreferSameZone'];
const MAX_AFFINITY_SECONDS = 86_400;
const SOURCE_RANGES = 'service.beta.kubernetes.io/load-balancer-source-ranges';

export const TOPOLOGY_HINTS = 'service.kubernetes.io/topology-aware-hints';
const TOPOLOGY_MODE = 'service.kubernetes.io/topology-mode';

const oneOf = (value: string | undefined, supported: string[], path: string): FieldError[] => {
  if (!value) return [required(path)];
  return supported.includes(value) ? [] : [notSupported(path, value, supported)];
};

export function validateService(service: Service): FieldError[] {
  const { spec } = service;
  const errors: FieldError[] = [];
  const headless = isHeadless(service);
  const ports = spec.ports ?? [];
  errors.push(...validateTopologyMode(service));
  if (ports.length === 0 && !headless && spec.type !== 'ExternalName') errors.push(required('spec.ports'));
  if (headless && (spec.type === 'LoadBalancer' || spec.type === 'NodePort'))
    errors.push(invalid('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${spec.type} services`));
  if (spec.type === 'ExternalName') errors.push(...validateExternalName(service));
  errors.push(
    ...validatePorts(ports),
    ...validateLabels(spec.selector, 'spec.selector'),
    ...validateAffinity(service),
    ...validateClusterIps(service),
    ...validateExternalIps(spec.externalIPs ?? []),
    ...oneOf(spec.type, TYPES, 'spec.type'),
    ...validatePortUse(service),
    ...validateSourceRanges(service),
    ...validateLoadBalancerFields(service),
    ...validateTraffic(service),
  );
  return errors;
}

/** The annotation has an older name, under which it must not say something else. */
function validateTopologyMode({ metadata: { annotations = {} } }: Service): FieldError[] {
  const mode = annotations[TOPOLOGY_MODE];
  const hints = annotations[TOPOLOGY_HINTS];
  if (mode === undefined || hints === undefined || mode === hints) return [];
  const rule = `must match annotations[${TOPOLOGY_HINTS}] when both are specified`;
  return [invalid(key('metadata.annotations', TOPOLOGY_MODE), mode, rule)];
}

function validateExternalName({ spec }: Service): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of ['clusterIPs', 'ipFamilies'] as const)
    if (spec[field]?.length)
      errors.push(forbidden(child('spec', field), 'may not be set for ExternalName services'));
  if (spec.ipFamilyPolicy !== undefined)
    errors.push(forbidden('spec.ipFamilyPolicy', 'may not be set for ExternalName services'));
  const name = (spec.externalName ?? '').replace(/\.$/, '');
  return name === ''
    ? [...errors, required('spec.externalName')]
    : [...errors, ...validateDns1123Subdomain(name, 'spec.externalName')];
}

function validatePorts(ports: ServicePort[]): FieldError[] {
  const seen = new Set<string>();
  return ports.flatMap((port, i) => {
    const at = index('spec.ports', i);
    const errors: FieldError[] = [];
    const name = child(at, 'name');
    if (!port.name && ports.length > 1) errors.push(required(name));
    else if (port.name) {
      errors.push(...validateDns1123Label(port.name, name));
      if (seen.has(port.name)) errors.push(duplicate(name, port.name));
      seen.add(port.name);
    }
    for (const message of names.portNumber(port.port ?? 0))
      errors.push(invalid(child(at, 'port'), port.port ?? 0, message));
    errors.push(...oneOf(port.protocol, PROTOCOLS, child(at, 'protocol')));
    errors.push(...validatePortNumOrName(port.targetPort, child(at, 'targetPort')));
    if (port.appProtocol !== undefined)
      errors.push(...validateQualifiedName(port.appProtocol, child(at, 'appProtocol')));
    return errors;
  });
}

/** Node ports and ports are used once for each protocol; an internal service has no node ports. */
function validatePortUse({ spec }: Service): FieldError[] {
  const ports = spec.ports ?? [];
  const errors: FieldError[] = [];
  const each = (check: (port: ServicePort, at: string) => void) => {
    ports.forEach((port, i) => {
      check(port, index('spec.ports', i));
    });
  };
  each((port, at) => {
    if (spec.type === 'ClusterIP' && port.nodePort)
      errors.push(forbidden(child(at, 'nodePort'), "may not be used when `type` is 'ClusterIP'"));
  });
  const nodePorts = new Set<string>();
  each((port, at) => {
    if (!port.nodePort) return;
    const id = `${port.protocol}/${port.nodePort}`;
    if (nodePorts.has(id)) errors.push(duplicate(child(at, 'nodePort'), port.nodePort));
    nodePorts.add(id);
  });
  const used = new Set<string>();
  each(({ protocol, port }, at) => {
    const id = `${protocol}/${port}`;
    // The value is how upstream's own struct prints.
    const value = { Name: '', Protocol: protocol, AppProtocol: null, Port: port, TargetPort: 0, NodePort: 0 };
    if (used.has(id)) errors.push(duplicate(at, value));
    used.add(id);
  });
  return errors;
}

function validateAffinity({ spec }: Service): FieldError[] {
  const errors = oneOf(spec.sessionAffinity, ['ClientIP', 'None'], 'spec.sessionAffinity');
  const path = 'spec.sessionAffinityConfig';
  const config = spec.sessionAffinityConfig;
  if (spec.sessionAffinity === 'None' && config)
    errors.push(forbidden(path, 'must not be set when session affinity is None'));
  if (spec.sessionAffinity !== 'ClientIP') return errors;
  const when = 'when session affinity type is ClientIP';
  const seconds = config?.clientIP?.timeoutSeconds;
  const at = child(path, 'clientIP', 'timeoutSeconds');
  if (!config) errors.push(required(path, when));
  else if (!config.clientIP) errors.push(required(child(path, 'clientIP'), when));
  else if (seconds === undefined) errors.push(required(at, when));
  else if (seconds <= 0 || seconds > MAX_AFFINITY_SECONDS)
    errors.push(invalid(at, seconds, `must be greater than 0 and less than ${MAX_AFFINITY_SECONDS}`));
  return errors;
}

const validateExternalIps = (ips: string[]): FieldError[] =>
  ips.flatMap((ip, i) => {
    const at = index('spec.externalIPs', i);
    const wrong = validateIp(ip, at);
    return wrong.length > 0 ? wrong : validateNonSpecialIp(ip, at);
  });

function validateSourceRanges(service: Service): FieldError[] {
  const { spec } = service;
  const ranges = spec.loadBalancerSourceRanges ?? [];
  const annotation = service.metadata.annotations?.[SOURCE_RANGES];
  const only = (path: string) =>
    spec.type === 'LoadBalancer' ? [] : [forbidden(path, "may only be used when `type` is 'LoadBalancer'")];
  if (ranges.length > 0) {
    const path = 'spec.LoadBalancerSourceRanges';
    return [...only(path), ...ranges.flatMap((range, i) => validateCidr(range.trim(), index(path, i)))];
  }
  if (annotation === undefined) return [];
  const path = key('metadata.annotations', SOURCE_RANGES);
  const values = annotation.trim() === '' ? [] : annotation.split(',');
  return [...only(path), ...values.flatMap((value) => validateCidr(value.trim(), path))];
}

function validateLoadBalancerFields({ spec }: Service): FieldError[] {
  const only = "may only be used when `type` is 'LoadBalancer'";
  const errors: FieldError[] = [];
  if (spec.type === 'LoadBalancer') {
    if (spec.allocateLoadBalancerNodePorts === undefined)
      errors.push(required('allocateLoadBalancerNodePorts'));
    if (spec.loadBalancerClass !== undefined)
      errors.push(...validateQualifiedName(spec.loadBalancerClass, 'spec.loadBalancerClass'));
    return errors;
  }
  for (const field of ['allocateLoadBalancerNodePorts', 'loadBalancerClass'] as const)
    if (spec[field] !== undefined) errors.push(forbidden(child('spec', field), only));
  return errors;
}

function validateTraffic(service: Service): FieldError[] {
  const { spec } = service;
  const errors: FieldError[] = [];
  if (isExternallyAccessible(service))
    errors.push(...oneOf(spec.externalTrafficPolicy, ['Cluster', 'Local'], 'spec.externalTrafficPolicy'));
  else if (spec.externalTrafficPolicy)
    errors.push(
      invalid(
        'spec.externalTrafficPolicy',
        spec.externalTrafficPolicy,
        'may only be set for externally-accessible services',
      ),
    );
  const health = spec.healthCheckNodePort;
  if (health && !needsHealthCheck(service))
    errors.push(
      invalid(
        'spec.healthCheckNodePort',
        health,
        "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
      ),
    );
  else if (health)
    for (const message of names.portNumber(health))
      errors.push(invalid('spec.healthCheckNodePort', health, message));
  if (spec.internalTrafficPolicy !== undefined || spec.type !== 'ExternalName')
    errors.push(...oneOf(spec.internalTrafficPolicy, ['Cluster', 'Local'], 'spec.internalTrafficPolicy'));
  if (spec.trafficDistribution !== undefined && !DISTRIBUTIONS.includes(spec.trafficDistribution))
    errors.push(notSupported('spec.trafficDistribution', spec.trafficDistribution, DISTRIBUTIONS));
  return errors;
}

export function validateServiceUpdate(service: Service, old: Service): FieldError[] {
  const errors: FieldError[] = [];
  if (service.spec.type !== 'ExternalName' && old.spec.type !== 'ExternalName')
    errors.push(
      ...validateSameList(service, old, 'clusterIPs'),
      ...validateSameList(service, old, 'ipFamilies'),
    );
  if (service.spec.type === 'LoadBalancer' && old.spec.type === 'LoadBalancer') {
    const [now, before] = [service.spec.loadBalancerClass, old.spec.loadBalancerClass];
    if (now !== before) errors.push(invalid('spec.loadBalancerClass', now, 'may not change once set'));
  }
  const health = old.spec.healthCheckNodePort;
  const kept = needsHealthCheck(service) && needsHealthCheck(old);
  if (kept && health && service.spec.healthCheckNodePort !== health)
    errors.push(forbidden('spec.healthCheckNodePort', 'field is immutable'));
  return errors;
}

export function validateServiceStatus(service: Service): FieldError[] {
  const path = 'status.loadBalancer.ingress';
  const ingresses = service.status?.loadBalancer?.ingress ?? [];
  if (service.spec.type !== 'LoadBalancer' && ingresses.length > 0)
    return [forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")];
  return ingresses.flatMap((ingress, i) => {
    const at = index(path, i);
    const mode = child(at, 'ipMode');
    const errors = ingress.ip ? validateIp(ingress.ip, child(at, 'ip')) : [];
    if (ingress.ipMode === undefined) {
      if (ingress.ip) errors.push(required(mode, 'must be specified when `ip` is set'));
    } else if (!ingress.ip) errors.push(forbidden(mode, 'may not be specified when `ip` is not set'));
    else errors.push(...oneOf(ingress.ipMode, ['Proxy', 'VIP'], mode));
    if (ingress.hostname) {
      const name = child(at, 'hostname');
      errors.push(...validateDns1123Subdomain(ingress.hostname, name));
      if (isIP(ingress.hostname))
        errors.push(invalid(name, ingress.hostname, 'must be a DNS name, not an IP address'));
    }
    return errors;
  });
}
