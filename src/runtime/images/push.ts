/** Pushing: an image's layers are packed and compressed anew, and sent with its config and manifest. */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { ImageError, type PullOptions } from '../types.js';
import { sha256 } from './digest.js';
import { parseReference } from './reference.js';
import { endpointsOf, readRegistrySettings } from './registry/config.js';
import { HttpClient } from './registry/http.js';
import { Repository } from './registry/registry.js';
import { type Body, Upload } from './registry/upload.js';
import { type PackedLayer, packImage, types } from './save.js';
import type { LocalImageStore } from './store.js';

interface Blob {
  descriptor: { mediaType: string; digest: string; size: number };
  body: Body;
}

/** To the registry of its name, never to a mirror. Gives the digest of its manifest. Throws ImageError. */
export async function pushImage(
  store: LocalImageStore,
  reference: string,
  {
    settings,
    auth,
    signal = new AbortController().signal,
    onProgress,
  }: PullOptions & { settings: string | undefined },
): Promise<string> {
  const image = store.find(reference);
  if (!image) throw new ImageError('NotFound', `image ${JSON.stringify(reference)} is not in the store`);
  const name = parseReference(reference);
  if (!name.tag || store.get(reference))
    throw new ImageError('InvalidName', `${reference} is not a name with a tag, which pushing takes`);
  const endpoint = endpointsOf(name.registry, readRegistrySettings(settings)).at(-1)!;
  const http = new HttpClient();
  const temporary: string[] = [];
  try {
    const { config, layers } = await packImage(store, image.id, signal);
    const blobs: Blob[] = [];
    for (const layer of layers) {
      const path = `${store.blobs.partialPath(layer.digest)}.${randomBytes(6).toString('hex')}`;
      temporary.push(path);
      blobs.push(await compress(layer, path, signal));
    }
    const settled = { mediaType: types.config, digest: sha256(config), size: config.length };
    const upload = new Upload(new Repository(http, endpoint, name, auth ?? endpoint.auth, signal));
    const total = blobs.reduce((sum, { descriptor }) => sum + descriptor.size, config.length);
    let done = 0;
    const advance = (bytes: number) => {
      done += bytes;
      onProgress?.(done, total);
    };
    for (const { descriptor, body } of blobs) await upload.blob(descriptor, body, advance);
    await upload.blob(settled, () => Readable.from([config]), advance);
    const manifest = Buffer.from(
      JSON.stringify({
        ...{ schemaVersion: 2, mediaType: types.manifest, config: settled },
        layers: blobs.map(({ descriptor }) => descriptor),
      }),
    );
    await upload.manifest(name.tag, types.manifest, manifest);
    return sha256(manifest);
  } catch (error) {
    if ((error as Error).name === 'AbortError' || !(error instanceof ImageError)) throw error;
    throw new ImageError(error.code, `failed to push ${JSON.stringify(name.full)}: ${error.message}`);
  } finally {
    await Promise.all(temporary.map((path) => rm(path, { force: true })));
    await http.close();
  }
}

async function compress(layer: PackedLayer, path: string, signal: AbortSignal): Promise<Blob> {
  const hash = createHash('sha256');
  const gzip = createGzip();
  gzip.on('data', (chunk: Buffer) => hash.update(chunk));
  await pipeline(Readable.from(layer.open()), gzip, createWriteStream(path, { mode: 0o600 }), { signal });
  const { size } = await stat(path);
  const digest = `sha256:${hash.digest('hex')}`;
  return {
    descriptor: { mediaType: `${types.layer}+gzip`, digest, size },
    body: () => createReadStream(path, { highWaterMark: 1 << 18 }),
  };
}
