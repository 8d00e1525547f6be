/** The files that every pod gets: /etc/hosts, /etc/hostname and /etc/resolv.conf. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '#types';

export interface DnsFacts {
  /** Such as `cluster.local`. */
  domain: string;
  /** The cluster's DNS, '' if there is none. */
  server: string;
}

/** The pod's host name: its own field or its name, cut to what the kernel takes. */
export function podHostname({ metadata, spec }: Pod): string {
  return (spec.hostname || metadata.name).slice(0, 63).replace(/[-.]+$/, '');
}

export function hostsFile(pod: Pod, ip: string, domain: string, hostFile: string): string {
  const aliases = (pod.spec.hostAliases ?? []).map(
    (alias) => `${alias.ip}\t${(alias.hostnames ?? []).join('\t')}\n`,
  );
  const added = aliases.length > 0 ? `\n# Entries added by HostAliases.\n${aliases.join('')}` : '';
  if (pod.spec.hostNetwork) return `# Kubernetes-managed hosts file (host network).\n${hostFile}${added}`;
  const hostname = podHostname(pod);
  const full = pod.spec.subdomain
    ? `${hostname}.${pod.spec.subdomain}.${pod.metadata.namespace}.svc.${domain}\t${hostname}`
    : hostname;
  return [
    '# Kubernetes-managed hosts file.',
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::0\tip6-localnet',
    'fe00::0\tip6-mcastprefix',
    'fe00::1\tip6-allnodes',
    'fe00::2\tip6-allrouters',
    ...(ip ? [`${ip}\t${full}`] : []),
    added,
  ].join('\n');
}

interface Resolver {
  servers: string[];
  searches: string[];
  options: string[];
}

export function parseResolvConf(text: string): Resolver {
  const resolver: Resolver = { servers: [], searches: [], options: [] };
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line.trim().split(/\s+/);
    if (keyword === 'nameserver' && values[0]) resolver.servers.push(values[0]);
    else if (keyword === 'search') resolver.searches = values;
    else if (keyword === 'options') resolver.options = values;
  }
  return resolver;
}

/** Upstream's dnsPolicy and dnsConfig; with no DNS in the cluster, ClusterFirst is as Default. */
export function resolvConf(pod: Pod, dns: DnsFacts, host: Resolver): string {
  const policy = pod.spec.dnsPolicy ?? 'ClusterFirst';
  const cluster =
    dns.server !== '' &&
    (policy === 'ClusterFirstWithHostNet' || (policy === 'ClusterFirst' && !pod.spec.hostNetwork));
  let { servers, searches, options } = host;
  if (policy === 'None') [servers, searches, options] = [[], [], []];
  else if (cluster) {
    const svc = `svc.${dns.domain}`;
    servers = [dns.server];
    searches = [`${pod.metadata.namespace}.${svc}`, svc, dns.domain, ...host.searches];
    options = ['ndots:5'];
  }
  const { nameservers = [], searches: more = [], options: extra = [] } = pod.spec.dnsConfig ?? {};
  const named = new Map(options.map((option) => [option.split(':')[0], option]));
  for (const { name = '', value } of extra) named.set(name, value === undefined ? name : `${name}:${value}`);
  const allSearches = [...new Set([...searches, ...more])];
  return [
    ...(allSearches.length > 0 ? [`search ${allSearches.join(' ')}\n`] : []),
    ...[...new Set([...servers, ...nameservers])].map((server) => `nameserver ${server}\n`),
    ...(named.size > 0 ? [`options ${[...named.values()].join(' ')}\n`] : []),
  ].join('');
}

/** Writes the three files below `dir`. */
export async function writePodFiles(dir: string, pod: Pod, ip: string, dns: DnsFacts): Promise<void> {
  const read = (file: string) => readFile(file, 'utf8').catch(() => '');
  const [hosts, resolver] = await Promise.all([
    read('/etc/hosts'),
    read('/etc/resolv.conf'),
    mkdir(dir, { recursive: true }),
  ]);
  const name = pod.spec.hostNetwork ? (await read('/etc/hostname')).trim() : podHostname(pod);
  await Promise.all([
    writeFile(join(dir, 'etc-hosts'), hostsFile(pod, ip, dns.domain, hosts)),
    writeFile(join(dir, 'hostname'), `${name}\n`),
    writeFile(join(dir, 'resolv.conf'), resolvConf(pod, dns, parseResolvConf(resolver))),
  ]);
}
