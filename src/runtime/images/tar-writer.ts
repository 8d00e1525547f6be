/** Writes small ustar streams that are the same for the same content: owner root, time 0. */

export type TarItem =
  | { path: string; kind: 'folder'; mode: number }
  | { path: string; kind: 'link'; target: string }
  | { path: string; kind: 'file'; mode: number; content: Buffer };

const types = { file: '0', link: '2', folder: '5' };

export function writeTar(items: TarItem[]): Buffer {
  const parts: Buffer[] = [];
  for (const item of items) {
    const content = item.kind === 'file' ? item.content : Buffer.alloc(0);
    parts.push(header(item, content.length), content, Buffer.alloc((512 - (content.length % 512)) % 512));
  }
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

function header(item: TarItem, size: number): Buffer {
  const block = Buffer.alloc(512);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`;
  if (Buffer.byteLength(item.path) > 100) throw new Error(`path is too long for ustar: ${item.path}`);
  block.write(item.path, 0);
  block.write(octal(item.kind === 'link' ? 0o777 : item.mode, 7), 100);
  block.write(octal(0, 7), 108);
  block.write(octal(0, 7), 116);
  block.write(octal(size, 11), 124);
  block.write(octal(0, 11), 136);
  block.write('        ', 148);
  block.write(types[item.kind], 156);
  if (item.kind === 'link') block.write(item.target, 157);
  block.write('ustar\x0000', 257, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}
