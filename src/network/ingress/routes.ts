/** The routing table: many Ingresses of all namespaces merged into one. Pure. */
import type { Ingress, IngressBackend } from '#types';
import { type PathType, pathMatches, wildcardOf } from './paths.js';

/** Where a request goes. */
export interface Route {
  /** `namespace/name` of the Ingress. */
  ingress: string;
  namespace: string;
  /** Absent for a backend that is no Service: nothing of the kind is supported. */
  service: string | undefined;
  /** The Service's port, by number or name. */
  port: number | string;
  /** Whether plain HTTP is sent to HTTPS. */
  toHttps?: boolean;
}

/** `"true"` on an Ingress with TLS: plain HTTP is sent to HTTPS. */
const REDIRECT = 'keelson.dev/ssl-redirect';

interface PathRoute extends Route {
  type: PathType;
  path: string;
}

interface HostRoutes {
  /** In the order in which they are tried. */
  paths: PathRoute[];
  /** Of the first Ingress that has rules for the host and a default backend. */
  fallback: Route | undefined;
}

export interface RoutingTable {
  /** By host, such as `a.example.com` or `*.example.com`; '' for rules without a host. */
  hosts: Map<string, HostRoutes>;
  fallback: Route | undefined;
}

/**
 * Merges Ingresses. Where two say the same of a host and path, the older counts, then the one that comes first by
 * name, so that nobody takes over by a newer object what works for another.
 */
export function mergeIngresses(ingresses: Iterable<Ingress>): RoutingTable {
  const ordered = [...ingresses].sort(byAge);
  const table: RoutingTable = { hosts: new Map(), fallback: undefined };
  for (const ingress of ordered) addRules(table, ingress);
  for (const { paths } of table.hosts.values()) paths.sort(byPrecedence);
  // A default backend without rules is meant for everything; one beside rules serves what is left.
  const withDefault = ordered.filter(({ spec }) => spec.defaultBackend);
  const general = withDefault.find(({ spec }) => !spec.rules?.length) ?? withDefault[0];
  if (general) table.fallback = routeTo(general, general.spec.defaultBackend!);
  return table;
}

/** All routes of a table. */
export function routesOf({ hosts, fallback }: RoutingTable): Route[] {
  const all = [...hosts.values()].flatMap(({ paths, fallback }) => [...paths, fallback]);
  return [...all, fallback].filter((route) => route !== undefined);
}

function addRules(table: RoutingTable, ingress: Ingress): void {
  const { rules = [], defaultBackend } = ingress.spec;
  for (const { host = '', http } of rules) {
    const key = host.toLowerCase();
    const routes = table.hosts.get(key) ?? { paths: [], fallback: undefined };
    table.hosts.set(key, routes);
    for (const { path = '/', pathType, backend } of http?.paths ?? []) {
      const type = pathType === 'Exact' ? 'Exact' : 'Prefix';
      routes.paths.push({ ...routeTo(ingress, backend), type, path: path || '/' });
    }
    if (defaultBackend) routes.fallback ??= routeTo(ingress, defaultBackend);
  }
}

function routeTo({ metadata, spec }: Ingress, { service }: IngressBackend): Route {
  const { name, namespace = '', annotations } = metadata;
  const port = service?.port?.number ?? service?.port?.name ?? 0;
  const toHttps = annotations?.[REDIRECT] === 'true' && (spec.tls?.length ?? 0) > 0;
  const route = { ingress: `${namespace}/${name}`, namespace, service: service?.name, port };
  return toHttps ? { ...route, toHttps } : route;
}

/**
 * The route of a request; `host` and `path` in normal form. A host's own rules come before those of its wildcard,
 * and these before rules without a host; within each the longest path wins, and Exact before Prefix.
 * @see https://kubernetes.io/docs/concepts/services-networking/ingress/#multiple-matches
 */
export function findRoute(table: RoutingTable, host: string, path: string): Route | undefined {
  const candidates = hostsOf(host)
    .map((name) => table.hosts.get(name))
    .filter((routes) => routes !== undefined);
  for (const { paths } of candidates) {
    const found = paths.find((route) => pathMatches(route.type, route.path, path));
    if (found) return found;
  }
  return candidates.find(({ fallback }) => fallback)?.fallback ?? table.fallback;
}

function hostsOf(host: string): string[] {
  const wildcard = wildcardOf(host);
  return wildcard ? [host, wildcard, ''] : [host, ''];
}

const lengthOf = ({ path }: PathRoute): number =>
  path.length > 1 && path.endsWith('/') ? path.length - 1 : path.length;

function byPrecedence(a: PathRoute, b: PathRoute): number {
  return lengthOf(b) - lengthOf(a) || Number(a.type !== 'Exact') - Number(b.type !== 'Exact');
}

/** The order in which Ingresses count. */
export function byAge(a: Ingress, b: Ingress): number {
  const [first, second] = [a, b].map(({ metadata }) => metadata.creationTimestamp ?? '');
  return compare(first!, second!) || compare(keyOf(a), keyOf(b));
}

const keyOf = ({ metadata }: Ingress): string => `${metadata.namespace}/${metadata.name}`;
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
