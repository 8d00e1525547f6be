/** Makes the records that the cluster's zone holds. */
import { addressBytes, familyOf } from '../../api/machinery/prefix.js';
import { CLASS_IN, TYPE } from './constants.js';
import type { ResourceRecord } from './message.js';

function record(name: string, type: number, ttl: number, data: ResourceRecord['data']): ResourceRecord {
  return { name, type, class: CLASS_IN, ttl, data };
}

/** A or AAAA. */
export function addressRecord(name: string, ttl: number, ip: string): ResourceRecord {
  return record(name, familyOf(ip) === 'IPv6' ? TYPE.AAAA : TYPE.A, ttl, [addressBytes(ip)]);
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
