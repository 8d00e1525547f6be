/**
 * What stands in the database, byte by byte; numbers are big-endian, so that keys sort.
 *
 * - `r/<revision: 8 bytes><index: 2 bytes>` → a record: checksum (4), kind (1), milliseconds since the
 *   epoch (6), length of the key (2), the key, the transformed JSON. Each version stands here once.
 * - `k/<key>` → the 10 bytes that name the record of its newest version.
 * - `m/format` → the version of this layout; `m/compacted` → the compacted revision (8 bytes).
 */
import { crc32 } from 'node:zlib';
import type { Key } from '../store.js';

export const FORMAT = '1';
export const FORMAT_KEY = Buffer.from('m/format');
export const COMPACTED_KEY = Buffer.from('m/compacted');
export const RECORDS = 'r/';
export const POINTERS = 'k/';

const HEADER = 13;
/** So many writes at most are in one commit. */
export const MAX_WRITES = 0xffff;

export interface DiskRecord {
  kind: 'put' | 'delete';
  /** When it was committed. */
  time: number;
  key: Key;
  /** As the transformer made it. */
  payload: Buffer;
}

export function recordKey(revision: number, index: number): Buffer {
  const key = Buffer.allocUnsafe(12);
  key.write(RECORDS, 0);
  key.writeBigUInt64BE(BigInt(revision), 2);
  key.writeUInt16BE(index, 10);
  return key;
}

export function parseRecordKey(key: Buffer): { revision: number; index: number } {
  return { revision: Number(key.readBigUInt64BE(2)), index: key.readUInt16BE(10) };
}

export function pointerKey(key: Key): Buffer {
  return Buffer.from(POINTERS + key);
}

/** The value of a pointer is what follows `r/` in the record's key. */
export function pointerTo(recordKey: Buffer): Buffer {
  return recordKey.subarray(2);
}

export function encodeRevision(revision: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigUInt64BE(BigInt(revision));
  return bytes;
}

export function encodeRecord({ kind, time, key, payload }: DiskRecord): Buffer {
  const keyLength = Buffer.byteLength(key);
  const bytes = Buffer.allocUnsafe(HEADER + keyLength + payload.length);
  bytes.writeUInt8(kind === 'put' ? 0 : 1, 4);
  bytes.writeUIntBE(time, 5, 6);
  bytes.writeUInt16BE(keyLength, 11);
  bytes.write(key, HEADER);
  payload.copy(bytes, HEADER + keyLength);
  bytes.writeUInt32BE(crc32(bytes.subarray(4)), 0);
  return bytes;
}

/** Throws when the bytes are not what was written. */
export function decodeRecord(bytes: Buffer): DiskRecord {
  if (bytes.length < HEADER || crc32(bytes.subarray(4)) !== bytes.readUInt32BE(0))
    throw new Error('its checksum does not match');
  const end = HEADER + bytes.readUInt16BE(11);
  return {
    kind: bytes.readUInt8(4) === 0 ? 'put' : 'delete',
    time: bytes.readUIntBE(5, 6),
    key: bytes.toString('utf8', HEADER, end),
    payload: bytes.subarray(end),
  };
}
