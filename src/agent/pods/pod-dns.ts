/** A pod's /etc/resolv.conf: its dnsPolicy and dnsConfig, within the limits that kubelet keeps. */
import type { Pod } from '#types';
import type { ResolverConfig } from '../../network/dns/resolv-conf.js';

export interface DnsFacts {
  /** Such as `cluster.local`. */
  domain: string;
  /** The cluster's DNS, '' if there is none. */
  server: string;
  /** The node's own resolver configuration; /etc/resolv.conf when absent. */
  resolvConf?: string;
}

const MAX_NAMESERVERS = 3;
const MAX_SEARCHES = 32;
const MAX_SEARCH_CHARACTERS = 2048;

export interface DnsWarning {
  reason: 'DNSConfigForming' | 'MissingClusterDNS';
  message: string;
}

/** Upstream's dnsPolicy and dnsConfig; with no DNS in the cluster, ClusterFirst is as Default. */
export function resolvConf(
  pod: Pod,
  dns: DnsFacts,
  host: ResolverConfig,
): { text: string; warnings: DnsWarning[] } {
  const warnings: DnsWarning[] = [];
  const base = ofPolicy(pod, dns, host, warnings);
  const { nameservers = [], searches = [], options = [] } = pod.spec.dnsConfig ?? {};
  const named = new Map(base.options.map((option) => [option.split(':')[0], option]));
  for (const { name = '', value } of options)
    named.set(name, value === undefined ? name : `${name}:${value}`);
  const servers = limitServers(unique([...base.servers, ...nameservers]), warnings);
  const search = limitSearches(unique([...base.searches, ...searches]), warnings);
  const text = [
    ...(search.length > 0 ? [`search ${search.join(' ')}\n`] : []),
    ...servers.map((server) => `nameserver ${server}\n`),
    ...(named.size > 0 ? [`options ${[...named.values()].join(' ')}\n`] : []),
  ].join('');
  return { text, warnings };
}

const unique = (values: string[]): string[] => [...new Set(values)];

function ofPolicy(pod: Pod, dns: DnsFacts, host: ResolverConfig, warnings: DnsWarning[]): ResolverConfig {
  const { dnsPolicy: policy = 'ClusterFirst', hostNetwork } = pod.spec;
  if (policy === 'None') return { servers: [], searches: [], options: [] };
  const cluster = policy === 'ClusterFirstWithHostNet' || (policy === 'ClusterFirst' && !hostNetwork);
  if (!cluster) return host;
  if (dns.server === '') {
    const { name, namespace, uid } = pod.metadata;
    const message = `pod: "${name}_${namespace}(${uid})". kubelet does not have ClusterDNS IP configured and cannot create Pod using "${policy}" policy. Falling back to "Default" policy.`;
    warnings.push({ reason: 'MissingClusterDNS', message });
    return host;
  }
  const svc = `svc.${dns.domain}`;
  return {
    servers: [dns.server],
    searches: [`${pod.metadata.namespace}.${svc}`, svc, dns.domain, ...host.searches],
    options: ['ndots:5'],
  };
}

function limitServers(servers: string[], warnings: DnsWarning[]): string[] {
  if (servers.length <= MAX_NAMESERVERS) return servers;
  const applied = servers.slice(0, MAX_NAMESERVERS);
  const message = `Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: ${applied.join(' ')}`;
  warnings.push({ reason: 'DNSConfigForming', message });
  return applied;
}

function limitSearches(searches: string[], warnings: DnsWarning[]): string[] {
  const applied = searches.slice(0, MAX_SEARCHES);
  while (applied.join(' ').length > MAX_SEARCH_CHARACTERS) applied.pop();
  if (applied.length < searches.length) {
    const message = `Search Line limits were exceeded, some search paths have been omitted, the applied search line is: ${applied.join(' ')}`;
    warnings.push({ reason: 'DNSConfigForming', message });
  }
  return applied;
}
