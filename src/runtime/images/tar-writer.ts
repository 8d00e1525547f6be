/** Writes tar streams (ustar, with PAX records where they are needed) that are the same for the same content. */
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';

interface TarAttributes {
  /** Without a slash at its start or end. */
  path: string;
  mode?: number;
  uid?: number;
  gid?: number;
  /** Whole seconds. */
  mtime?: number;
  xattrs?: Record<string, Buffer>;
}

export type TarItem = TarAttributes &
  (
    | { kind: 'folder' | 'pipe' }
    | { kind: 'link' | 'hardlink'; target: string }
    | { kind: 'character' | 'block'; major: number; minor: number }
    | { kind: 'file'; content: Buffer }
    /** A file of the host. */
    | { kind: 'copy'; source: string; size: number }
    | { kind: 'stream'; size: number; open(): AsyncIterable<Buffer> }
  );

const types = {
  file: '0',
  copy: '0',
  stream: '0',
  hardlink: '1',
  link: '2',
  character: '3',
  block: '4',
  folder: '5',
  pipe: '6',
};

/** The order of a walk: a folder, what is in it, then what comes after it. */
export function byPath(a: string, b: string): number {
  const [left, right] = [a.split('/'), b.split('/')];
  const at = left.findIndex((part, i) => part !== right[i]);
  if (at < 0) return left.length - right.length;
  return right[at] === undefined || left[at]! > right[at] ? 1 : -1;
}

/** For items that are all in memory. */
export function writeTar(items: TarItem[]): Buffer {
  const parts: Buffer[] = [];
  for (const item of items) {
    parts.push(...headers(item));
    if (item.kind === 'file') parts.push(item.content, padding(item.content.length));
  }
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

/** Reads files as they are due. */
export function tarStream(items: AsyncIterable<TarItem> | Iterable<TarItem>): Readable {
  return Readable.from(tarChunks(items), { objectMode: false, highWaterMark: 1 << 18 });
}

async function* tarChunks(items: AsyncIterable<TarItem> | Iterable<TarItem>): AsyncGenerator<Buffer> {
  for await (const item of items) {
    yield Buffer.concat(headers(item));
    if (item.kind === 'file') yield Buffer.concat([item.content, padding(item.content.length)]);
    if ((item.kind !== 'copy' && item.kind !== 'stream') || item.size === 0) continue;
    let left = item.size;
    const chunks =
      item.kind === 'stream'
        ? item.open()
        : createReadStream(item.source, { end: item.size - 1, highWaterMark: 1 << 18 });
    for await (const chunk of chunks as AsyncIterable<Buffer>) {
      left -= chunk.length;
      yield chunk;
    }
    if (left !== 0) throw new Error(`${item.path} changed while it was read`);
    if (item.size % 512) yield padding(item.size);
  }
  yield Buffer.alloc(1024);
}

const padding = (size: number): Buffer => Buffer.alloc((512 - (size % 512)) % 512);

/** The item's own header, after one with what that cannot hold. */
function headers(item: TarItem): Buffer[] {
  const size = item.kind === 'file' ? item.content.length : 'size' in item ? item.size : 0;
  const { path } = item;
  const target = 'target' in item ? item.target : '';
  const records: [string, Buffer | string][] = [];
  if (Buffer.byteLength(path) > 100) records.push(['path', path]);
  if (Buffer.byteLength(target) > 100) records.push(['linkpath', target]);
  if (size > 0o77777777777) records.push(['size', `${size}`]);
  for (const [name, id] of [
    ['uid', item.uid ?? 0],
    ['gid', item.gid ?? 0],
  ] as const)
    if (id > 0o7777777) records.push([name, `${id}`]);
  for (const name of Object.keys(item.xattrs ?? {}).sort())
    records.push([`SCHILY.xattr.${name}`, item.xattrs![name]!]);
  const own = header(item, path, target, types[item.kind], size);
  if (records.length === 0) return [own];
  const data = Buffer.concat(records.map(([key, value]) => record(key, value)));
  return [
    header({ path: '', mode: 0o644 }, 'PaxHeaders.0/entry', '', 'x', data.length),
    data,
    padding(data.length),
    own,
  ];
}

/** `<length> <key>=<value>\n`, whose length counts itself. */
function record(key: string, value: Buffer | string): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')]);
  let length = rest.length + 1;
  while (`${length}`.length + rest.length !== length) length = `${length}`.length + rest.length;
  return Buffer.concat([Buffer.from(`${length}`), rest]);
}

function header(
  item: TarAttributes & { kind?: string; major?: number; minor?: number },
  path: string,
  target: string,
  type: string,
  size: number,
): Buffer {
  const block = Buffer.alloc(512);
  // What does not fit is told by a record before.
  const octal = (value: number, digits: number) => {
    const text = value.toString(8);
    return `${(text.length > digits ? '0' : text).padStart(digits, '0')}\0`;
  };
  block.write(path, 0, 100);
  block.write(octal((item.mode ?? (type === '2' ? 0o777 : 0o755)) & 0o7777, 7), 100);
  block.write(octal(item.uid ?? 0, 7), 108);
  block.write(octal(item.gid ?? 0, 7), 116);
  block.write(octal(size, 11), 124);
  block.write(octal(Math.max(0, item.mtime ?? 0), 11), 136);
  block.write('        ', 148);
  block.write(type, 156);
  block.write(target, 157, 100);
  block.write('ustar\x0000', 257, 'latin1');
  if (type === '3' || type === '4') {
    block.write(octal(item.major ?? 0, 7), 329);
    block.write(octal(item.minor ?? 0, 7), 337);
  }
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}
