/** Writes images to an archive that is an OCI image layout and a docker-archive at once. */
import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { ImageError } from '../types.js';
import { changes } from './changes.js';
import { digestHex, sha256 } from './digest.js';
import { type Descriptor, parseConfig } from './manifest.js';
import { parseReference } from './reference.js';
import type { LocalImageStore } from './store.js';
import { type TarItem, tarStream } from './tar-writer.js';
import { UnionView } from './union.js';

/** An image as it goes out: its layers are plain tars. */
export interface Packed {
  config: Buffer;
  manifest: Buffer;
  layers: PackedLayer[];
}

export interface PackedLayer {
  digest: string;
  size: number;
  open(): AsyncIterable<Buffer>;
}

/** Media types. */
export const types = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
};

/**
 * The image's tars are made anew from its files. For images that were built here they are what they were; a layer that
 * another tool has packed may get another digest, and the image with it another id.
 */
export async function packImage(store: LocalImageStore, id: string, signal?: AbortSignal): Promise<Packed> {
  const record = store.state.current().images[id];
  const config = await store.blobs.read(id);
  if (!record || !config) throw new ImageError('NotFound', `image ${id} is not in the store`);
  const { diffIds } = parseConfig(config, `config of ${id}`);
  const layers: PackedLayer[] = [];
  for (const chainId of record.layers) layers.push(await packLayer(store.layers.path(chainId), signal));
  const digests = layers.map((layer) => layer.digest);
  const document = JSON.parse(config.toString('utf8'));
  const own =
    digests.join() === diffIds.join()
      ? config
      : Buffer.from(JSON.stringify({ ...document, rootfs: { type: 'layers', diff_ids: digests } }));
  const manifest = {
    schemaVersion: 2,
    mediaType: types.manifest,
    config: { mediaType: types.config, digest: sha256(own), size: own.length },
    layers: layers.map(({ digest, size }) => ({ mediaType: types.layer, digest, size })),
  };
  return { config: own, manifest: Buffer.from(JSON.stringify(manifest)), layers };
}

async function packLayer(folder: string, signal?: AbortSignal): Promise<PackedLayer> {
  const open = () => tarStream(changes(folder, new UnionView([]), new Set()));
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of open() as AsyncIterable<Buffer>) {
    signal?.throwIfAborted();
    hash.update(chunk);
    size += chunk.length;
  }
  return { digest: `sha256:${hash.digest('hex')}`, size, open };
}

/** `references`: names or ids; the names are kept in the archive. Writes all of it or nothing. */
export async function saveImages(
  store: LocalImageStore,
  references: string[],
  path: string,
  signal?: AbortSignal,
): Promise<void> {
  const blobs = new Map<string, TarItem>();
  const index: Descriptor[] = [];
  const docker: { Config: string; RepoTags: string[]; Layers: string[] }[] = [];
  const add = (
    digest: string,
    item: { content: Buffer } | { size: number; open(): AsyncIterable<Buffer> },
  ) => {
    const common = { path: `blobs/sha256/${digestHex(digest)}`, mode: 0o644 };
    blobs.set(
      digest,
      'content' in item ? { ...common, kind: 'file', ...item } : { ...common, kind: 'stream', ...item },
    );
    return common.path;
  };
  for (const reference of references) {
    const image = store.find(reference);
    if (!image) throw new ImageError('NotFound', `image ${JSON.stringify(reference)} is not in the store`);
    const name = store.get(reference) ? undefined : parseReference(reference);
    const packed = await packImage(store, image.id, signal);
    const Layers = packed.layers.map(({ digest, size, open }) => add(digest, { size, open }));
    const Config = add(sha256(packed.config), { content: packed.config });
    add(sha256(packed.manifest), { content: packed.manifest });
    const annotations: Record<string, string> = name?.tag
      ? { 'io.containerd.image.name': name.full, 'org.opencontainers.image.ref.name': name.tag }
      : {};
    index.push({
      mediaType: types.manifest,
      digest: sha256(packed.manifest),
      size: packed.manifest.length,
      annotations,
    });
    docker.push({ Config, RepoTags: name?.tag ? [name.full] : [], Layers });
  }
  const json = (name: string, value: object): TarItem => ({
    path: name,
    kind: 'file',
    mode: 0o644,
    content: Buffer.from(JSON.stringify(value)),
  });
  const items = [
    json('oci-layout', { imageLayoutVersion: '1.0.0' }),
    json('index.json', { schemaVersion: 2, manifests: index }),
    json('manifest.json', docker),
    ...blobs.values(),
  ];
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await pipeline(tarStream(items), createWriteStream(temporary), ...(signal ? [{ signal }] : []));
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
