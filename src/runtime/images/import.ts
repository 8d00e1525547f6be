/** Imports images from a docker-archive (docker save) or an OCI image layout, packed or as a folder. */
import { basename, resolve } from 'node:path';
import { type Image, ImageError } from '../types.js';
import { type Archive, openArchive } from './archive.js';
import { digestHex, sha256 } from './digest.js';
import type { LayerSource } from './layers.js';
import { choosePlatform, type Descriptor, hostPlatform, parseConfig, parseManifest } from './manifest.js';
import { parseReference } from './reference.js';
import type { Installation, LocalImageStore } from './store.js';

export function importArchive(store: LocalImageStore, path: string, name?: string): Promise<Image[]> {
  if (name !== undefined) parseReference(name);
  return store.layers.inTemporary(async (temporary) => {
    const archive = await openArchive(path, temporary);
    try {
      const found = (await archive.has('oci-layout'))
        ? await readLayout(archive, path)
        : await readDockerArchive(archive, path);
      if (name !== undefined) rename(found, name, path);
      const images: Image[] = [];
      for (const installation of found) images.push(await store.install(installation));
      return [...new Set(images.map((image) => image.id))].map((id) => store.get(id)!);
    } finally {
      await archive.close();
    }
  });
}

function rename(found: Installation[], name: string, path: string): void {
  const ids = new Set(found.map((installation) => sha256(installation.config)));
  if (ids.size !== 1)
    throw new ImageError('InvalidName', `${path} holds ${ids.size} images: only a single one can be named`);
  const reference = parseReference(name);
  const first = found[0]!;
  found.length = 1;
  first.digests = first.digests.map((digest) => `${reference.name}@${digest.split('@')[1]}`);
  first.tags = reference.digest ? [] : [reference.full];
}

interface DockerManifest {
  Config?: string;
  RepoTags?: string[] | null;
  Layers?: string[];
}

/** https://github.com/moby/docker-image-spec/blob/main/v1.2.md#combined-image-json--filesystem-changeset-format */
async function readDockerArchive(archive: Archive, path: string): Promise<Installation[]> {
  if (!(await archive.has('manifest.json')))
    throw new ImageError('Unsupported', `${path} is neither a docker-archive nor an OCI image layout`);
  let list: DockerManifest[];
  try {
    list = JSON.parse((await archive.read('manifest.json')).toString('utf8'));
  } catch (error) {
    throw new ImageError('Corrupt', `manifest.json of ${path} is corrupt: ${(error as Error).message}`);
  }
  if (!Array.isArray(list)) throw new ImageError('Corrupt', `manifest.json of ${path} is not a list`);
  const found: Installation[] = [];
  for (const entry of list) {
    const tags = (entry.RepoTags ?? []).map((tag) => parseReference(tag).full);
    const name = tags[0] ?? `${path}: ${entry.Config}`;
    const config = await archive.read(entry.Config ?? '');
    checkPlatform(config, name);
    found.push({
      name,
      config,
      tags,
      digests: [],
      layers: (entry.Layers ?? []).map((layer) => ({
        name: `layer ${layer} of ${name}`,
        open: () => archive.stream(layer),
      })),
    });
  }
  return found;
}

/** https://github.com/opencontainers/image-spec/blob/main/image-layout.md */
async function readLayout(archive: Archive, path: string): Promise<Installation[]> {
  const { index } = parseManifest(await archive.read('index.json'), `index.json of ${path}`);
  if (!index) throw new ImageError('Corrupt', `index.json of ${path} is not an index`);
  const byName = new Map<string, Descriptor[]>();
  for (const descriptor of index) {
    const name = nameOf(descriptor, path);
    byName.set(name, [...(byName.get(name) ?? []), descriptor]);
  }
  const found: Installation[] = [];
  for (const [name, descriptors] of byName) {
    // Without a name, several manifests are several images.
    const groups = name ? [descriptors] : descriptors.map((descriptor) => [descriptor]);
    for (const group of groups) {
      const top = group.length > 1 ? choosePlatform(group) : group[0];
      if (top) found.push(await readImage(archive, top, name, path));
    }
  }
  return found;
}

/** The tag may be all that is told: then the archive's file name is the image's. */
function nameOf({ annotations }: Descriptor, path: string): string {
  const full = annotations?.['io.containerd.image.name'];
  if (full) return parseReference(full).full;
  const name = annotations?.['org.opencontainers.image.ref.name'];
  if (!name) return '';
  if (/[/:]/.test(name)) return parseReference(name).full;
  const file = basename(resolve(path))
    .replace(/\.(tar|tgz|tar\.\w+|oci)$/, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
  return parseReference(`${file || 'import'}:${name}`).full;
}

async function readImage(
  archive: Archive,
  top: Descriptor,
  name: string,
  path: string,
): Promise<Installation> {
  const shown = name || `${path}: ${top.digest}`;
  let descriptor = top;
  for (let depth = 0; depth < 5; depth++) {
    const document = await readBlob(archive, descriptor, shown);
    const { index, manifest } = parseManifest(document, `manifest ${descriptor.digest} of ${shown}`);
    if (manifest) {
      const config = await readBlob(archive, manifest.config, shown);
      checkPlatform(config, shown);
      return {
        name: shown,
        config,
        manifest: document,
        tags: name ? [name] : [],
        digests: name ? [`${parseReference(name).name}@${top.digest}`] : [],
        layers: manifest.layers.map((layer) => layerSource(archive, layer, shown)),
      };
    }
    const chosen = choosePlatform(index!);
    if (!chosen)
      throw new ImageError('NotFound', `image ${shown}: no match for platform in manifest: not found`);
    descriptor = chosen;
  }
  throw new ImageError('Corrupt', `image ${shown} is corrupt: its indexes are nested too deep`);
}

const blobPath = (digest: string) => `blobs/sha256/${digestHex(digest)}`;

async function readBlob(archive: Archive, { digest, size }: Descriptor, name: string): Promise<Buffer> {
  const data = await archive.read(blobPath(digest));
  if (data.length !== size || sha256(data) !== digest)
    throw new ImageError(
      'Corrupt',
      `blob ${digest} of ${name} does not match its digest: got ${sha256(data)} of ${data.length} bytes`,
    );
  return data;
}

function layerSource(archive: Archive, { digest, size }: Descriptor, name: string): LayerSource {
  return {
    name: `layer ${digest} of ${name}`,
    digest,
    size,
    open: () => archive.stream(blobPath(digest)),
  };
}

function checkPlatform(config: Buffer, name: string): void {
  const { platform } = parseConfig(config, `config of ${name}`);
  if (platform.os !== hostPlatform.os || platform.architecture !== hostPlatform.architecture)
    throw new ImageError(
      'Unsupported',
      `image ${name} is for ${platform.os}/${platform.architecture}, this node is ${hostPlatform.os}/${hostPlatform.architecture}`,
    );
}
