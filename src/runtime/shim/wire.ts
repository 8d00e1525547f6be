/** Codec of the shim's protocol: frames of tagged fields (u8 tag, u32 length, value), little endian. */
import { HEADER, MAX_FRAME } from './protocol.js';

export interface Frame {
  type: number;
  request: number;
  payload: Buffer;
}

/** Collects fields. Strings end in NUL, numbers are 64 bits. */
export class FieldWriter {
  #parts: Buffer[] = [];
  #size = 0;

  bytes(tag: number, value: Buffer): this {
    const head = Buffer.allocUnsafe(5);
    head[0] = tag;
    head.writeUInt32LE(value.length, 1);
    this.#parts.push(head, value);
    this.#size += 5 + value.length;
    return this;
  }

  /** Throws a RangeError for a string with NUL in it: the rest would be lost silently. */
  text(tag: number, value: string): this {
    if (value.includes('\0')) throw new RangeError('a string may not contain NUL');
    return this.bytes(tag, Buffer.from(`${value}\0`));
  }

  texts(tag: number, values: Iterable<string>): this {
    for (const value of values) this.text(tag, value);
    return this;
  }

  number(tag: number, value: number | bigint): this {
    const bytes = Buffer.allocUnsafe(8);
    bytes.writeBigInt64LE(BigInt.asIntN(64, BigInt(value)));
    return this.bytes(tag, bytes);
  }

  nested(tag: number, fields: FieldWriter): this {
    return this.bytes(tag, fields.payload());
  }

  payload(): Buffer {
    return Buffer.concat(this.#parts, this.#size);
  }

  frame(type: number, request: number): Buffer {
    return Buffer.concat([frameHead(type, request, this.#size), ...this.#parts]);
  }
}

/** The header of a frame whose payload has `size` bytes. */
export function frameHead(type: number, request: number, size: number): Buffer {
  const head = Buffer.allocUnsafe(HEADER);
  head.writeUInt32LE(HEADER - 4 + size, 0);
  head[4] = type;
  head.writeUInt32LE(request, 5);
  return head;
}

/** The fields of a payload. Throws a RangeError when it is cut. */
export class Fields {
  #fields: [tag: number, value: Buffer][] = [];

  constructor(payload: Buffer) {
    for (let at = 0; at < payload.length; ) {
      if (payload.length - at < 5) throw new RangeError('cut field');
      const length = payload.readUInt32LE(at + 1);
      if (length > payload.length - at - 5) throw new RangeError('cut field');
      this.#fields.push([payload[at]!, payload.subarray(at + 5, at + 5 + length)]);
      at += 5 + length;
    }
  }

  #find(tag: number): Buffer | undefined {
    return this.#fields.find(([own]) => own === tag)?.[1];
  }

  /** Empty when absent. */
  text(tag: number): string {
    return this.#find(tag)?.toString('utf8').replace(/\0$/, '') ?? '';
  }

  /** 0 when absent. */
  number(tag: number): number {
    const value = this.#find(tag);
    return value?.length === 8 ? Number(value.readBigInt64LE()) : 0;
  }

  all(tag: number): Buffer[] {
    return this.#fields.filter(([own]) => own === tag).map(([, value]) => value);
  }
}

/** Cuts a byte stream into frames. */
export class FrameReader {
  #pending: Buffer | undefined;

  /** The frames that are whole with this chunk. Throws a RangeError for a length that can't be. */
  push(chunk: Buffer): Frame[] {
    let bytes = this.#pending ? Buffer.concat([this.#pending, chunk]) : chunk;
    const frames: Frame[] = [];
    while (bytes.length >= HEADER) {
      const length = bytes.readUInt32LE(0);
      if (length < HEADER - 4 || length > MAX_FRAME) throw new RangeError(`frame of ${length} bytes`);
      if (bytes.length < length + 4) break;
      frames.push({
        type: bytes[4]!,
        request: bytes.readUInt32LE(5),
        payload: bytes.subarray(HEADER, length + 4),
      });
      bytes = bytes.subarray(length + 4);
    }
    this.#pending = bytes.length ? bytes : undefined;
    return frames;
  }
}
