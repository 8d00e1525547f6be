/** A container's environment, in the order and with the messages of upstream (kubelet `makeEnvironmentVariables`). */
import type { ConfigMap, Container, EnvVar, Pod, Secret, Service } from '#types';
import { expand } from './expand.js';
import { fieldValue, type NodeFacts, resourceValue } from './fields.js';

/** A container can't be created as it is asked for: waiting reason `CreateContainerConfigError`. */
export class ConfigError extends Error {
  constructor(
    message: string,
    /** Whether it may work the next time though no object of the API is another by then. */
    readonly isTransient = false,
  ) {
    super(message);
  }
}

export interface EnvSources {
  node: NodeFacts;
  podIPs: string[];
  configMap(name: string): ConfigMap | undefined;
  secret(name: string): Secret | undefined;
  /** Of all namespaces. */
  services: Service[];
}

const decode = (base64: string): string => Buffer.from(base64, 'base64').toString();

export function containerEnv(pod: Pod, container: Container, sources: EnvSources): Map<string, string> {
  const env = new Map<string, string>();
  const services = serviceEnv(sources.services, pod);
  for (const from of container.envFrom ?? []) {
    const prefix = from.prefix ?? '';
    for (const [key, value] of Object.entries(envFrom(pod, from, sources))) env.set(`${prefix}${key}`, value);
  }
  const lookup = (name: string) => env.get(name) ?? services.get(name);
  for (const variable of container.env ?? []) {
    const value = variable.valueFrom
      ? valueFrom(pod, container, variable, sources)
      : expand(variable.value ?? '', lookup);
    if (value !== undefined) env.set(variable.name, value);
  }
  for (const [name, value] of services) if (!env.has(name)) env.set(name, value);
  return env;
}

function envFrom(
  pod: Pod,
  { configMapRef, secretRef }: NonNullable<Container['envFrom']>[number],
  sources: EnvSources,
): Record<string, string> {
  if (configMapRef) {
    const found = sources.configMap(configMapRef.name ?? '');
    if (!found && !configMapRef.optional) throw new ConfigError(`configmap "${configMapRef.name}" not found`);
    return found?.data ?? {};
  }
  if (secretRef) {
    const found = sources.secret(secretRef.name ?? '');
    if (!found && !secretRef.optional) throw new ConfigError(`secret "${secretRef.name}" not found`);
    return Object.fromEntries(Object.entries(found?.data ?? {}).map(([key, value]) => [key, decode(value)]));
  }
  throw new ConfigError(`envFrom of pod ${pod.metadata.name} refers to nothing`);
}

/** Undefined for what is optional and not there. */
function valueFrom(
  pod: Pod,
  container: Container,
  { valueFrom: from }: EnvVar,
  sources: EnvSources,
): string | undefined {
  const { namespace } = pod.metadata;
  if (from?.fieldRef) return fieldValue(pod, from.fieldRef, sources.node, sources.podIPs);
  if (from?.resourceFieldRef) {
    const name = from.resourceFieldRef.containerName;
    const all = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
    const target = name ? (all.find((c) => c.name === name) ?? container) : container;
    return resourceValue(target, from.resourceFieldRef, sources.node);
  }
  if (from?.configMapKeyRef) {
    const { name = '', key, optional } = from.configMapKeyRef;
    const found = sources.configMap(name);
    const value = found?.data?.[key];
    if (value !== undefined || optional) return value;
    throw new ConfigError(
      found ? `couldn't find key ${key} in ConfigMap ${namespace}/${name}` : `configmap "${name}" not found`,
    );
  }
  if (from?.secretKeyRef) {
    const { name = '', key, optional } = from.secretKeyRef;
    const found = sources.secret(name);
    const value = found?.data?.[key];
    if (value !== undefined) return decode(value);
    if (optional) return undefined;
    throw new ConfigError(
      found ? `couldn't find key ${key} in Secret ${namespace}/${name}` : `secret "${name}" not found`,
    );
  }
  return undefined;
}

/** Variables of the Services that a pod sees: those of its namespace, and always `default/kubernetes`. */
export function serviceEnv(services: Service[], pod: Pod): Map<string, string> {
  const env = new Map<string, string>();
  const links = pod.spec.enableServiceLinks !== false;
  const isKubernetes = ({ metadata }: Service) =>
    metadata.namespace === 'default' && metadata.name === 'kubernetes';
  const visible = services
    .filter((s) => isKubernetes(s) || (links && s.metadata.namespace === pod.metadata.namespace))
    // One of its own namespace hides `default/kubernetes`.
    .sort((a, b) => Number(isKubernetes(b)) - Number(isKubernetes(a)));
  for (const { metadata, spec } of visible) {
    const ip = spec?.clusterIP;
    const ports = spec?.ports ?? [];
    if (!ip || ip === 'None' || ports.length === 0) continue;
    const name = metadata.name.toUpperCase().replaceAll('-', '_');
    const host = ip.includes(':') ? `[${ip}]` : ip;
    env.set(`${name}_SERVICE_HOST`, ip);
    env.set(`${name}_SERVICE_PORT`, String(ports[0]!.port));
    for (const port of ports)
      if (port.name)
        env.set(`${name}_SERVICE_PORT_${port.name.toUpperCase().replaceAll('-', '_')}`, String(port.port));
    ports.forEach((port, i) => {
      const protocol = port.protocol ?? 'TCP';
      const url = `${protocol.toLowerCase()}://${host}:${port.port}`;
      if (i === 0) env.set(`${name}_PORT`, url);
      const prefix = `${name}_PORT_${port.port}_${protocol}`;
      env.set(prefix, url);
      env.set(`${prefix}_PROTO`, protocol.toLowerCase());
      env.set(`${prefix}_PORT`, String(port.port));
      env.set(`${prefix}_ADDR`, ip);
    });
  }
  return env;
}
