/** Stacks of layers as overlayfs mounts of the host. */
import { mkdir } from 'node:fs/promises';
import { native } from '../native.js';

const MS_RDONLY = 1;

/** Mounts layers (folders, lowest first) on a folder: for reading only, or with a folder for what is written. */
export async function mountLayers(
  path: string,
  layers: string[],
  writable?: { upper: string; work: string },
): Promise<void> {
  const lower = layers.toReversed();
  if (!writable) {
    // Without an upper folder overlayfs wants two lower ones.
    const empty = `${path}.empty`;
    await mkdir(empty, { recursive: true });
    lower.push(empty);
  }
  const options = [`lowerdir=${lower.map(escaped).join(':')}`];
  if (writable) options.push(`upperdir=${escaped(writable.upper)}`, `workdir=${escaped(writable.work)}`);
  await native.mount('overlay', path, 'overlay', writable ? 0 : MS_RDONLY, options.join(','));
}

const escaped = (path: string): string => path.replaceAll(/[\\:,]/g, '\\$&');
