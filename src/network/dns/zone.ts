/**
 * Answers of the cluster's own names, as Kubernetes' DNS specification has them
 * (https://github.com/kubernetes/dns/blob/master/docs/specification.md), and in its gaps as CoreDNS does. Pure.
 */
import { isIP } from 'node:net';
import type { Service } from '#types';
import { canonicalIp } from '../../api/machinery/ip.js';
import { RCODE, TYPE } from './constants.js';
import type { Question, Reply, ResourceRecord } from './message.js';
import { inLowerCase, isBelow } from './names.js';
import { addressRecord, nameRecord, soaRecord, srvRecord, txtRecord } from './records.js';
import { endpointHostname, isHeadless, isReady, type ServiceView } from './view.js';

export interface Zone {
  /** Such as `cluster.local`. */
  domain: string;
  /** The DNS server's own address. */
  address: string;
}

/** Seconds that cluster names may be kept: CoreDNS' default. */
const TTL = 5;
const SCHEMA_VERSION = '1.1.0';
/** CoreDNS' mark of an endpoint or Service without ports: it has addresses, but no SRV record. */
const NO_PORT = -1;

/** `alias`: the name in the last answer, whose records are still to be added. */
export type ZoneReply = Reply & { alias?: string };

/** What a name stands for: an address and port, and the name under which SRV records show it. */
interface Target {
  name: string;
  ip: string;
  port: number;
}

/** Undefined: the question is not about the cluster. */
export function answerFromZone(question: Question, zone: Zone, view: ServiceView): ZoneReply | undefined {
  const name = inLowerCase(question.name);
  if (isBelow(name, 'in-addr.arpa') || isBelow(name, 'ip6.arpa')) return reverse(question, name, zone, view);
  if (!isBelow(name, zone.domain)) return undefined;
  if (question.type === TYPE.AXFR || question.type === TYPE.IXFR) return reply(RCODE.REFUSED);
  const labels = name === zone.domain ? [] : name.slice(0, -zone.domain.length - 1).split('.');
  const found = lookUp(labels, question, zone, view);
  if (found && found.answers.length > 0) return found;
  // What is not there may just not have been told yet.
  if (!found && !view.synced) return reply(RCODE.SERVFAIL);
  const authority = [soaRecord(zone.domain, TTL, view.serial)];
  return { ...reply(found ? RCODE.NOERROR : RCODE.NXDOMAIN), authority };
}

const reply = (rcode: number, answers: ResourceRecord[] = [], additional: ResourceRecord[] = []): Reply => ({
  ...{ rcode, authoritative: true, answers, authority: [], additional },
});
const records = (answers: ResourceRecord[], additional: ResourceRecord[] = []) =>
  reply(RCODE.NOERROR, answers, additional);
const NO_DATA = records([]);

/** Undefined: there is no such name. */
function lookUp(labels: string[], question: Question, zone: Zone, view: ServiceView): ZoneReply | undefined {
  const [kind, namespace = '', ...rest] = [...labels].reverse();
  if (kind === undefined) return apex(question, zone, view);
  if (labels.length === 1 && (kind === 'svc' || kind === 'pod')) return NO_DATA;
  if (kind === 'dns-version' && labels.length === 1)
    return question.type === TYPE.TXT ? records([txtRecord(question.name, TTL, SCHEMA_VERSION)]) : NO_DATA;
  if (kind === 'dns') return nameServer(labels, question, zone);
  if (kind !== 'svc' && kind !== 'pod') return undefined;
  if (!view.hasNamespace(namespace)) return undefined;
  if (rest.length === 0) return NO_DATA;
  return kind === 'pod' ? pod(rest, question) : service(namespace, rest, question, zone, view);
}

function apex({ name, type }: Question, zone: Zone, view: ServiceView): Reply {
  if (type === TYPE.SOA) return records([soaRecord(name, TTL, view.serial, zone.domain)]);
  if (type !== TYPE.NS) return NO_DATA;
  const server = `ns.dns.${zone.domain}`;
  return records([nameRecord(name, TYPE.NS, TTL, server)], [addressRecord(server, TTL, zone.address)]);
}

function nameServer(labels: string[], question: Question, zone: Zone): Reply | undefined {
  if (labels.length === 1) return NO_DATA;
  if (labels.length > 2 || labels[0] !== 'ns') return undefined;
  return addresses(question, [zone.address]);
}

/** Addresses of the question's family. */
function addresses({ name, type }: Question, ips: string[]): Reply {
  const family = type === TYPE.A ? 4 : type === TYPE.AAAA ? 6 : undefined;
  const wanted = [...new Set(ips)].filter((ip) => isIP(ip) === family);
  return records(wanted.map((ip) => addressRecord(name, TTL, ip)));
}

/** `1-2-3-4.<namespace>.pod`: the address is in the name, whoever has it (CoreDNS' `pods insecure`). */
function pod([label = '', ...more]: string[], question: Question): Reply | undefined {
  if (more.length > 0) return undefined;
  const ipv4 = label.replaceAll('-', '.');
  const ip = isIP(ipv4) === 4 ? ipv4 : label.replaceAll('-', ':');
  return isIP(ip) === 0 ? undefined : addresses(question, [ip]);
}

/** `path`: the Service's name, and then an endpoint's host name, or protocol and port. */
function service(
  namespace: string,
  path: string[],
  question: Question,
  zone: Zone,
  view: ServiceView,
): ZoneReply | undefined {
  const [name = '', ...more] = path;
  const object = view.service(namespace, name);
  if (!object || more.length > 2) return undefined;
  if (object.spec?.type === 'ExternalName') return more.length > 0 ? undefined : external(object, question);
  const own = `${name}.${namespace}.svc.${zone.domain}`;
  const endpoint = more.length === 1 ? more[0] : undefined;
  const [protocol, port] = more.length === 2 ? more.map(withoutUnderscore) : [];
  const matches: PortMatch = (named) =>
    (port === undefined || port === (named.name ?? '').toLowerCase()) &&
    (protocol === undefined || protocol === (named.protocol ?? 'TCP').toLowerCase());
  const targets =
    isHeadless(object) || endpoint !== undefined
      ? [...endpointTargets(object, own, endpoint, matches, view)]
      : serviceTargets(object, own, matches);
  if (targets.length === 0) return undefined;
  if (question.type === TYPE.SRV) return services(question, targets);
  return addresses(
    question,
    targets.map((target) => target.ip),
  );
}

type PortMatch = (port: { name?: string; protocol?: string }) => boolean;

const withoutUnderscore = (label: string): string => (label.startsWith('_') ? label.slice(1) : label);

function external({ spec }: Service, { name, type }: Question): ZoneReply | undefined {
  const alias = (spec?.externalName ?? '').replace(/\.$/, '');
  if (alias === '' || isIP(alias) !== 0) return undefined;
  const answer = records([nameRecord(name, TYPE.CNAME, TTL, alias)]);
  return type === TYPE.CNAME ? answer : { ...answer, alias };
}

function serviceTargets({ spec }: Service, name: string, matches: PortMatch): Target[] {
  const ports = spec?.ports?.length ? spec.ports : [{ port: NO_PORT }];
  return ports
    .filter(matches)
    .flatMap(({ port }) => (spec?.clusterIPs ?? [spec?.clusterIP ?? '']).map((ip) => ({ name, ip, port })))
    .filter(({ ip }) => isIP(ip) !== 0);
}

function* endpointTargets(
  service: Service,
  own: string,
  wanted: string | undefined,
  matches: PortMatch,
  view: ServiceView,
): Generator<Target> {
  const { namespace = '', name = '' } = service.metadata ?? {};
  for (const slice of view.slices(namespace, name)) {
    if (slice.addressType === 'FQDN') continue;
    const ports = (slice.ports?.length ? slice.ports : [{ port: NO_PORT }]).filter(matches);
    for (const endpoint of slice.endpoints ?? []) {
      if (!isReady(endpoint, service)) continue;
      for (const ip of endpoint.addresses) {
        const hostname = endpointHostname(endpoint.hostname, ip);
        if (wanted !== undefined && wanted !== hostname) continue;
        for (const { port = NO_PORT } of ports) yield { name: `${hostname}.${own}`, ip, port };
      }
    }
  }
}

/** SRV records and the addresses of their targets; the weight of 100 is shared, as CoreDNS does. */
function services({ name }: Question, targets: Target[]): Reply {
  const weight = Math.max(1, Math.floor(100 / targets.length));
  const answers = new Map<string, ResourceRecord>();
  const additional = new Map<string, ResourceRecord>();
  for (const target of targets) {
    if (target.port === NO_PORT) continue;
    answers.set(`${target.port} ${target.name}`, srvRecord(name, TTL, weight, target.port, target.name));
    additional.set(`${target.ip} ${target.name}`, addressRecord(target.name, TTL, target.ip));
  }
  return records([...answers.values()], [...additional.values()]);
}

/** Names of addresses that the cluster does not know may be known elsewhere. */
function reverse(question: Question, name: string, zone: Zone, view: ServiceView): Reply | undefined {
  if (question.type !== TYPE.PTR) return undefined;
  const ip = reversedIp(name);
  if (ip === undefined) return undefined;
  const found = view.serviceByIp(ip)?.metadata;
  const names = found
    ? [`${found.name}.${found.namespace}`]
    : view.endpointsByIp(ip).map(({ hostname, service, namespace }) => `${hostname}.${service}.${namespace}`);
  if (names.length === 0) return undefined;
  return records(names.map((one) => nameRecord(question.name, TYPE.PTR, TTL, `${one}.svc.${zone.domain}`)));
}

/** The address that a name below `in-addr.arpa` or `ip6.arpa` stands for; undefined for a part of one. */
function reversedIp(name: string): string | undefined {
  const labels = name.split('.').slice(0, -2).reverse();
  if (name.endsWith('.in-addr.arpa')) return isIP(labels.join('.')) === 4 ? labels.join('.') : undefined;
  if (labels.length !== 32 || !labels.every((nibble) => /^[0-9a-f]$/.test(nibble))) return undefined;
  return canonicalIp(labels.join('').replace(/.{4}(?=.)/g, '$&:'));
}
