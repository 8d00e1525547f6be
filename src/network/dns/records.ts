/** Makes the records that the cluster's zone holds. */
import { isIP } from 'node:net';
import { CLASS_IN, TYPE } from './constants.js';
import type { ResourceRecord } from './message.js';

function record(name: string, type: number, ttl: number, data: ResourceRecord['data']): ResourceRecord {
  return { name, type, class: CLASS_IN, ttl, data };
}

/** A or AAAA. */
export function addressRecord(name: string, ttl: number, ip: string): ResourceRecord {
  return isIP(ip) === 6
    ? record(name, TYPE.AAAA, ttl, [ipv6Bytes(ip)])
    : record(name, TYPE.A, ttl, [Buffer.from(ip.split('.').map(Number))]);
}

/** CNAME, NS, PTR: one name. */
export function nameRecord(name: string, type: number, ttl: number, target: string): ResourceRecord {
  return record(name, type, ttl, [target]);
}

export function txtRecord(name: string, ttl: number, text: string): ResourceRecord {
  return record(name, TYPE.TXT, ttl, [Buffer.from([text.length, ...Buffer.from(text)])]);
}

export function srvRecord(
  name: string,
  ttl: number,
  weight: number,
  port: number,
  target: string,
): ResourceRecord {
  const numbers = Buffer.alloc(6);
  numbers.writeUInt16BE(weight, 2);
  numbers.writeUInt16BE(port, 4);
  return record(name, TYPE.SRV, ttl, [numbers, target]);
}

/** With CoreDNS' times for refresh, retry and expiry; what is not there may be remembered for `ttl`. */
export function soaRecord(name: string, ttl: number, serial: number, zone = name): ResourceRecord {
  const numbers = Buffer.alloc(20);
  for (const [i, value] of [serial, 7200, 1800, 86400, ttl].entries())
    numbers.writeUInt32BE(value >>> 0, i * 4);
  return record(name, TYPE.SOA, ttl, [`ns.dns.${zone}`, `hostmaster.${zone}`, numbers]);
}

function ipv6Bytes(ip: string): Buffer {
  const text = ip.replace(/%.*$/, '').replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...bytes) => {
    const [a, b, c, d] = bytes.map(Number) as [number, number, number, number];
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  const [head = '', tail] = text.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':'));
  const [left, right] = [groups(head), groups(tail ?? '')];
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const bytes = Buffer.alloc(16);
  for (const [i, group] of [...left, ...Array(zeros).fill('0'), ...right].entries())
    bytes.writeUInt16BE(Number.parseInt(group, 16), i * 2);
  return bytes;
}
