/** Finds images again whose index is lost, by the documents and unpacked layers that are there. */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobStore } from './blobs.js';
import { chainIds } from './digest.js';
import type { LayerStore } from './layers.js';
import { parseConfig } from './manifest.js';
import type { ImageRecord, State } from './state.js';

export interface FoundImages {
  images: ImageRecord[];
  layers: State['layers'];
}

/** Those that have all their layers; of what they were called nothing is known. */
export async function findImages(blobs: BlobStore, store: LayerStore): Promise<FoundImages> {
  const found: FoundImages = { images: [], layers: {} };
  const documents = await blobs.documents();
  for (const [id, document] of documents) {
    const parsed = config(document);
    if (!parsed) continue;
    const layers = chainIds(parsed.diffIds);
    if (!store.areThere(layers)) continue;
    for (const [i, chainId] of layers.entries())
      found.layers[chainId] ??= { diffId: parsed.diffIds[i]!, size: await bytes(store.path(chainId)) };
    const size = layers.reduce((sum, layer) => sum + found.layers[layer]!.size, 0);
    const manifests = [...documents].filter(([, other]) => configOf(other) === id).map(([digest]) => digest);
    found.images.push({ id, config: parsed.config, layers, size, blobs: [id, ...manifests] });
  }
  return found;
}

function config(document: Buffer) {
  try {
    return parseConfig(document, 'a config');
  } catch {
    return undefined;
  }
}

/** The digest of the config that a manifest names. */
function configOf(document: Buffer): string | undefined {
  try {
    return JSON.parse(document.toString()).config?.digest;
  } catch {
    return undefined;
  }
}

async function bytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const sizes = await Promise.all(
    entries.filter((e) => e.isFile()).map(async (e) => (await lstat(join(e.parentPath, e.name))).size),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
