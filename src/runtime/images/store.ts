/** The image store: what is known of images, and how one gets in or out. */
import type { Logger } from 'pino';
import { type Image, ImageError, type ImageStore, type PullOptions } from '../types.js';
import { Aliases } from './aliases.js';
import { BlobStore } from './blobs.js';
import { BuildCaches } from './build-caches.js';
import { chainIds } from './digest.js';
import { forgetImage, type LayerSource, LayerStore } from './layers.js';
import { parseConfig } from './manifest.js';
import { parseReference } from './reference.js';
import { type ImageRecord, type State, StateFile } from './state.js';
import { BuildSteps } from './steps.js';

export interface ImageStoreOptions {
  /** Everything of the store is below it; may be shared by several processes of one machine. */
  dir: string;
  /** YAML file of aliases, written with a default when missing. */
  aliases?: string;
  /** YAML file with settings of registries: mirrors, CAs, insecure ones. */
  registries?: string;
  logger?: Logger;
}

/** An image to be put into the store: its documents, and where its layers come from. */
export interface Installation {
  /** Names it in errors. */
  name: string;
  config: Buffer;
  manifest?: Buffer;
  /** Names with tags it gets; they are taken from other images. */
  tags: string[];
  /** Names with digests. */
  digests: string[];
  /** One for each diff ID of the config, lowest first. */
  layers: LayerSource[];
  signal?: AbortSignal | undefined;
}

/** An id without its algorithm: no repository may be called so. */
const ID = /^[a-f0-9]{64}$/;

export class LocalImageStore implements ImageStore {
  readonly state: StateFile;
  readonly blobs: BlobStore;
  readonly layers: LayerStore;
  readonly aliases: Aliases;
  readonly steps: BuildSteps;
  readonly caches: BuildCaches;
  readonly logger: Logger | undefined;
  /** Makes the built-in images where they are not there (any more). */
  makeBuiltin: (() => Promise<void>) | undefined;
  /** Stacks of layers that a build runs from, by ids that only it knows. */
  readonly unfinished = new Map<string, Image>();
  private puller: Promise<import('./pull.js').Puller> | undefined;

  constructor(private readonly options: ImageStoreOptions) {
    this.logger = options.logger;
    this.state = new StateFile(options.dir, options.logger);
    this.blobs = new BlobStore(options.dir);
    this.layers = new LayerStore(options.dir, this.state);
    this.steps = new BuildSteps(this.state, this.layers);
    this.caches = new BuildCaches(options.dir);
    this.aliases = new Aliases(options.aliases, options.logger);
  }

  /** Makes the folders and removes what a killed process left. */
  async prepare(): Promise<void> {
    await this.blobs.prepare();
    if (this.state.isLost) await this.findAgain();
    await this.layers.recover();
  }

  /** Images without their names, from what is left when the index is: what runs from them keeps its layers. */
  private async findAgain(): Promise<void> {
    const { findImages } = await import('./find-images.js');
    const found = await findImages(this.blobs, this.layers);
    if (found.images.length === 0) return;
    this.logger?.warn({ images: found.images.length }, 'images were found again, without their names');
    await this.state.update((state) => {
      Object.assign(state.layers, found.layers);
      for (const image of found.images) state.images[image.id] = image;
    });
  }

  find(reference: string): Image | undefined {
    return this.get(reference) ?? (ID.test(reference) ? undefined : this.findName(reference, 0));
  }

  private findName(name: string, depth: number): Image | undefined {
    const state = this.state.current();
    const reference = parseReference(name);
    const alias = reference.digest ? undefined : this.aliases.find(reference);
    if (alias?.when === 'always' && depth < 5 && alias.target.full !== reference.full)
      return this.findName(alias.target.full, depth + 1);
    const id = state.tags[reference.full] ?? state.digests[reference.full];
    if (id) return this.get(id);
    const served = state.aliased[reference.full];
    return served && depth < 5 ? this.findName(served, depth + 1) : undefined;
  }

  get(id: string): Image | undefined {
    const unfinished = this.unfinished.get(id);
    if (unfinished) return unfinished;
    const digest = ID.test(id) ? `sha256:${id}` : id;
    const state = this.state.current();
    const record = state.images[digest];
    // One that has lost a layer counts as not there, so that it is pulled again.
    return record && this.layers.areThere(record.layers) ? this.describe(record, state) : undefined;
  }

  list(): Image[] {
    const state = this.state.current();
    return Object.values(state.images).map((record) => this.describe(record, state));
  }

  private describe(record: ImageRecord, state: State): Image {
    const namesOf = (names: Record<string, string>) =>
      Object.keys(names).filter((name) => names[name] === record.id);
    return {
      id: record.id,
      tags: namesOf(state.tags),
      digests: namesOf(state.digests),
      size: record.size,
      config: record.config,
      layers: record.layers.map((layer) => this.layers.path(layer)),
    };
  }

  /** Unpacks the layers that are missing and takes note of the image: all or nothing. */
  async install(installation: Installation): Promise<Image> {
    const { name, config, manifest, layers, signal } = installation;
    const parsed = parseConfig(config, `config of ${name}`);
    if (parsed.diffIds.length !== layers.length)
      throw new ImageError(
        'Corrupt',
        `image ${name} is corrupt: ${layers.length} layers, but ${parsed.diffIds.length} diff IDs in its config`,
      );
    const chain = chainIds(parsed.diffIds);
    for (;;) {
      for (const [i, source] of layers.entries())
        await this.layers.ensure(chain[i]!, parsed.diffIds[i]!, chain.slice(0, i), source, signal);
      const id = await this.blobs.write(config);
      const blobs = manifest ? [id, await this.blobs.write(manifest)] : [id];
      const noted = await this.state.update((state) => {
        // Another process may have removed a layer meanwhile that no image had yet.
        if (chain.some((layer) => !state.layers[layer])) return false;
        state.images[id] = {
          id,
          config: parsed.config,
          layers: chain,
          size: chain.reduce((sum, layer) => sum + state.layers[layer]!.size, 0),
          blobs: [...new Set([...(state.images[id]?.blobs ?? []), ...blobs])],
        };
        for (const tag of installation.tags) {
          state.tags[tag] = id;
          delete state.aliased[tag];
        }
        for (const digest of installation.digests) state.digests[digest] = id;
        return true;
      });
      if (noted) return this.get(id)!;
    }
  }

  /** Gives an image one more name; another image that had it loses it. */
  async tag(reference: string, name: string): Promise<Image> {
    const image = this.find(reference);
    if (!image) throw new ImageError('NotFound', `image ${JSON.stringify(reference)} is not in the store`);
    const target = parseReference(name);
    if (target.digest)
      throw new ImageError('InvalidName', `${name} has a digest: a name with a tag is wanted`);
    await this.state.update((state) => {
      if (!state.images[image.id])
        throw new ImageError('NotFound', `image ${JSON.stringify(reference)} is not in the store`);
      state.tags[target.full] = image.id;
      delete state.aliased[target.full];
    });
    return this.get(image.id)!;
  }

  async pull(reference: string, options: PullOptions = {}): Promise<Image> {
    this.puller ??= import('./pull.js').then(({ Puller }) => new Puller(this, this.options.registries));
    return (await this.puller).pull(parseReference(reference), options);
  }

  /** To the registry that the name tells. Gives the digest of its manifest. */
  async push(reference: string, options: PullOptions = {}): Promise<string> {
    const { pushImage } = await import('./push.js');
    return pushImage(this, reference, { ...options, settings: this.options.registries });
  }

  async import(path: string, name?: string): Promise<Image[]> {
    const { importArchive } = await import('./import.js');
    return importArchive(this, path, name);
  }

  async remove(reference: string): Promise<void> {
    const image = this.find(reference);
    if (!image) throw new ImageError('NotFound', `image ${JSON.stringify(reference)} is not in the store`);
    const byId = this.get(reference) !== undefined;
    const full = byId ? '' : parseReference(reference).full;
    await this.forget((state) => {
      delete state.aliased[full];
      delete state.tags[full];
      delete state.digests[full];
      return Object.values(state.tags).includes(image.id) && !byId ? [] : [image.id];
    });
  }

  /** Removes images that lost their last name, to a newer image, unless they are in use; gives their ids. */
  prune(inUse: ReadonlySet<string>): Promise<string[]> {
    return this.forget((state) => {
      const named = new Set([...Object.values(state.tags), ...Object.values(state.digests)]);
      return Object.keys(state.images).filter((id) => !named.has(id) && !inUse.has(id));
    });
  }

  /**
   * Forgets steps and caches of builds that `choose` means, and removes layers where nothing else has them;
   * gives their number.
   */
  async dropSteps(choose: (usedAt: number) => boolean): Promise<number> {
    let count = await this.caches.drop(choose);
    await this.forget((state) => {
      for (const [key, { usedAt }] of Object.entries(state.cache ?? {}))
        if (choose(usedAt)) {
          delete state.cache![key];
          count++;
        }
      return [];
    });
    return count;
  }

  /** Bytes of all unpacked layers. */
  layerBytes(): number {
    return Object.values(this.state.current().layers).reduce((sum, { size }) => sum + size, 0);
  }

  /** Removes the images that `choose` names, and what no other image has of them. */
  private async forget(choose: (state: State) => string[]): Promise<string[]> {
    const { ids, cleanUp } = await this.state.update(async (state) => {
      const chosen = choose(state);
      const blobs = chosen.flatMap((id) => state.images[id]?.blobs ?? []);
      for (const id of chosen) forgetImage(state, id);
      const emptyTrash = await this.layers.collect(state);
      const kept = new Set(Object.values(state.images).flatMap((image) => image.blobs));
      return {
        ids: chosen,
        cleanUp: async () => {
          await emptyTrash();
          await Promise.all(blobs.filter((blob) => !kept.has(blob)).map((blob) => this.blobs.remove(blob)));
        },
      };
    });
    await cleanUp();
    return ids;
  }

  async close(): Promise<void> {
    await (await this.puller)?.close();
    await this.layers.close();
  }
}
