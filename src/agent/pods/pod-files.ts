/** The files that every pod gets: /etc/hosts, /etc/hostname and /etc/resolv.conf. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '#types';
import { readResolvConf } from '../../network/dns/resolv-conf.js';
import { makeFolder } from '../../runtime/make-folder.js';
import { type DnsFacts, type DnsWarning, resolvConf } from './pod-dns.js';

/** Of the kernel. */
const MAX_HOSTNAME = 64;

/** The pod's host name: its own field or its name, cut to what the kernel takes. */
export function podHostname({ metadata, spec }: Pod): string {
  if (spec.hostnameOverride) return spec.hostnameOverride;
  return (spec.hostname || metadata.name).slice(0, 63).replace(/[-.]+$/, '');
}

const fullName = (pod: Pod, domain: string): string =>
  pod.spec.subdomain && !pod.spec.hostnameOverride
    ? `${podHostname(pod)}.${pod.spec.subdomain}.${pod.metadata.namespace}.svc.${domain}`
    : podHostname(pod);

/** What uname tells: the full name for `setHostnameAsFQDN`. @throws Error when that is too long. */
export function kernelHostname(pod: Pod, domain: string): string {
  if (!pod.spec.setHostnameAsFQDN) return podHostname(pod);
  const full = fullName(pod, domain);
  if (full.length > MAX_HOSTNAME)
    throw new Error(
      `failed to construct FQDN from Pod hostname and cluster domain, FQDN ${full} is too long (${MAX_HOSTNAME} characters is the max, ${full.length} characters requested)`,
    );
  return full;
}

export function hostsFile(pod: Pod, ips: string[], domain: string, hostFile: string): string {
  const aliases = (pod.spec.hostAliases ?? []).map(
    (alias) => `${alias.ip}\t${(alias.hostnames ?? []).join('\t')}\n`,
  );
  const added = aliases.length > 0 ? `\n# Entries added by HostAliases.\n${aliases.join('')}` : '';
  if (pod.spec.hostNetwork) return `# Kubernetes-managed hosts file (host network).\n${hostFile}${added}`;
  const hostname = podHostname(pod);
  const name = fullName(pod, domain);
  const full = name === hostname ? hostname : `${name}\t${hostname}`;
  return [
    '# Kubernetes-managed hosts file.',
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::0\tip6-localnet',
    'fe00::0\tip6-mcastprefix',
    'fe00::1\tip6-allnodes',
    'fe00::2\tip6-allrouters',
    ...ips.map((ip) => `${ip}\t${full}`),
    added,
  ].join('\n');
}

/** Writes the three files below `dir`; gives what could not be as the pod wants it. */
export async function writePodFiles(
  dir: string,
  pod: Pod,
  ips: string[],
  dns: DnsFacts,
): Promise<DnsWarning[]> {
  const read = (file: string) => readFile(file, 'utf8').catch(() => '');
  const [hosts, host] = await Promise.all([
    read('/etc/hosts'),
    readResolvConf(dns.resolvConf),
    makeFolder(dir, 0o750),
  ]);
  const name = pod.spec.hostNetwork ? (await read('/etc/hostname')).trim() : kernelHostname(pod, dns.domain);
  const { text, warnings } = resolvConf(pod, dns, host);
  await Promise.all([
    writeFile(join(dir, 'etc-hosts'), hostsFile(pod, ips, dns.domain, hosts)),
    writeFile(join(dir, 'hostname'), `${name}\n`),
    writeFile(join(dir, 'resolv.conf'), text),
  ]);
  return warnings;
}
