/** `RUN --mount=…`: https://docs.docker.com/reference/dockerfile/#run---mount */
import { posix } from 'node:path';
import type { Sharing } from '../../runtime/images/build-caches.js';

export interface MountSpec {
  type: 'bind' | 'cache' | 'tmpfs' | 'secret';
  /** As it is written; of a secret that is a variable only: ''. */
  target: string;
  /** A path in what `from` means. */
  source: string;
  /** A stage or an image; '' is the context, and of a cache an empty folder. */
  from: string;
  readOnly: boolean;
  id: string;
  sharing: Sharing;
  mode: number;
  uid: number;
  gid: number;
  /** Bytes; 0: no limit. */
  size: number;
  required: boolean;
  /** The variable that a secret becomes. */
  env: string;
}

const TYPES = ['bind', 'cache', 'tmpfs', 'secret'];
const ALIASES: Record<string, string> = {
  ...{ dst: 'target', destination: 'target', src: 'source', ro: 'readonly', rw: 'readwrite' },
};
const UNITS: Record<string, number> = { '': 1, k: 1 << 10, m: 1 << 20, g: 1 << 30 };

/** @throws Error that says what is wrong with it. */
export function parseMount(text: string): MountSpec {
  const fields = new Map(text.split(',').map((field) => fieldOf(field.replace(/^"(.*)"$/, '$1'))));
  const type = fields.get('type') ?? 'bind';
  if (type === 'ssh') throw new Error('RUN --mount=type=ssh is not supported');
  if (!TYPES.includes(type)) throw new Error(`unsupported mount type "${type}"`);
  const take = (name: string, otherwise = '') => fields.get(name) ?? otherwise;
  const number = (name: string, otherwise: number, base = 10) => {
    const value = Number.parseInt(take(name, otherwise.toString(base)), base);
    if (Number.isNaN(value)) throw new Error(`invalid value for ${name}: ${take(name)}`);
    return value;
  };
  const isOn = (name: string) => {
    if (!fields.has(name)) return undefined;
    if (!['', 'true', 'false', '1', '0'].includes(take(name)))
      throw new Error(`invalid value for ${name}: ${take(name)}`);
    return ['', 'true', '1'].includes(take(name));
  };
  const sharing = take('sharing', 'shared');
  if (!['shared', 'locked', 'private'].includes(sharing))
    throw new Error(`unsupported sharing value "${sharing}"`);
  const isSecret = type === 'secret';
  const target = take('target');
  const id = take('id', isSecret ? posix.basename(target) : posix.normalize(target));
  if (isSecret && !id) throw new Error('a secret has to have an id or a target');
  if (!isSecret && !target) throw new Error(`a mount of type ${type} has to have a target`);
  const env = take('env');
  return {
    type: type as MountSpec['type'],
    target: target || (isSecret && !env ? `/run/secrets/${id}` : ''),
    ...{ source: take('source', '/'), from: take('from'), id, sharing: sharing as Sharing, env },
    readOnly: isOn('readonly') ?? (type === 'bind' ? !(isOn('readwrite') ?? false) : isSecret),
    mode: number('mode', isSecret ? 0o400 : 0o755, 8),
    ...{ uid: number('uid', 0), gid: number('gid', 0), size: bytes(take('size', '0')) },
    required: isOn('required') ?? false,
  };
}

const KNOWN = new Set(
  'type target source from readonly readwrite id sharing mode uid gid size required env'.split(' '),
);

function fieldOf(field: string): [string, string] {
  const equals = field.indexOf('=');
  const written = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
  const name = ALIASES[written] ?? written;
  if (!KNOWN.has(name)) throw new Error(`unexpected key '${written}' in '${field}'`);
  return [name, equals < 0 ? '' : field.slice(equals + 1)];
}

function bytes(text: string): number {
  const match = /^(\d+)([kmg]?)i?b?$/i.exec(text);
  if (!match) throw new Error(`invalid size: ${text}`);
  return Number(match[1]) * UNITS[match[2]!.toLowerCase()]!;
}
