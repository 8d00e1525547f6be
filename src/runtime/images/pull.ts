/** Pulling: from the registry or as an alias, and one pull for all who ask for the same image at the same time. */
import { createReadStream } from 'node:fs';
import { type Image, ImageError, type PullOptions } from '../types.js';
import { builtinRegistry } from './builtin.js';
import { chainIds } from './digest.js';
import { Downloads } from './downloads.js';
import { choosePlatform, type Descriptor, type Manifest, parseConfig, parseManifest } from './manifest.js';
import type { Reference } from './reference.js';
import { type Endpoint, endpointsOf, readRegistrySettings } from './registry/config.js';
import { discard, HttpClient } from './registry/http.js';
import { Repository } from './registry/registry.js';
import { SharedWork } from './shared-work.js';
import type { LocalImageStore } from './store.js';

/** How long a registry may take to answer before an alias serves, and how long that verdict counts. */
const probeTimeout = 1500;
const verdictLife = 60_000;

interface Resolved {
  repository: Repository;
  /** Of what the name led to: an index or a manifest. */
  digest: string;
  document: Buffer;
}

export class Puller {
  private readonly http = new HttpClient();
  private readonly pulls = new SharedWork<Image>();
  private readonly verdicts = new Map<string, { reachable: Promise<boolean>; until: number }>();

  constructor(
    private readonly store: LocalImageStore,
    private readonly settingsPath: string | undefined,
  ) {}

  pull(reference: Reference, options: PullOptions): Promise<Image> {
    const key = JSON.stringify([reference.full, options.auth]);
    return this.pulls.run(key, options.signal, (signal) => this.choose(reference, { ...options, signal }, 0));
  }

  private async choose(reference: Reference, options: PullOptions, depth: number): Promise<Image> {
    if (reference.registry === builtinRegistry) return await this.builtin(reference);
    const alias = depth < 5 ? this.store.aliases.find(reference) : undefined;
    const aliased =
      alias &&
      (alias.when === 'always' || !(await this.reachable(reference.registry))) &&
      (await this.pullAlias(reference, alias.target, options, depth));
    return aliased || this.fromRegistry(reference, options);
  }

  private async builtin(reference: Reference): Promise<Image> {
    if (!this.store.find(reference.full)) await this.store.makeBuiltin?.();
    const image = this.store.find(reference.full);
    if (!image) throw notPulled(reference, new ImageError('NotFound', `${reference.full}: not found`), true);
    return image;
  }

  /** Undefined when the alias leads to no image. */
  private async pullAlias(reference: Reference, target: Reference, options: PullOptions, depth: number) {
    if (target.full === reference.full) return undefined;
    const local = this.store.find(target.full);
    const image =
      local ??
      (await this.choose(target, options, depth + 1).catch((error) => {
        options.signal?.throwIfAborted();
        this.store.logger?.warn({ image: reference.full, error: error.message }, 'its alias cannot be had');
        return undefined;
      }));
    if (!image) return undefined;
    await this.store.state.update((state) => {
      state.aliased[reference.full] = target.full;
      delete state.tags[reference.full];
    });
    this.store.logger?.info({ image: reference.full, alias: target.full }, 'an alias serves');
    return image;
  }

  /** Any answer counts, also a refusal. */
  private reachable(registry: string): Promise<boolean> {
    const known = this.verdicts.get(registry);
    if (known && known.until > performance.now()) return known.reachable;
    const probe = (endpoint: Endpoint) =>
      this.http.get(endpoint, `${endpoint.base}/v2/`, { headers: {}, timeout: probeTimeout }).then(discard);
    const reachable = Promise.any(this.endpoints(registry).map(probe)).then(
      () => true,
      () => false,
    );
    this.verdicts.set(registry, { reachable, until: performance.now() + verdictLife });
    return reachable;
  }

  private endpoints(registry: string): Endpoint[] {
    return endpointsOf(registry, readRegistrySettings(this.settingsPath));
  }

  /** Asks the endpoints in turn, until one has all of the image. */
  private async fromRegistry(reference: Reference, options: PullOptions): Promise<Image> {
    let failure: unknown;
    for (const endpoint of this.endpoints(reference.registry))
      try {
        return await this.fromEndpoint(endpoint, reference, options);
      } catch (error) {
        options.signal?.throwIfAborted();
        failure = error;
      }
    throw failure;
  }

  private async fromEndpoint(endpoint: Endpoint, reference: Reference, options: PullOptions): Promise<Image> {
    const credentials = options.auth ?? endpoint.auth;
    const repository = new Repository(this.http, endpoint, reference, credentials, options.signal!);
    const found = await repository.manifest(reference.digest ?? reference.tag!).catch((error) => {
      throw notPulled(reference, error, true);
    });
    const image = await this.tagKnown(reference, found.digest);
    if (image) return image;
    try {
      return await this.download(reference, { repository, ...found }, options);
    } catch (error) {
      throw notPulled(reference, error, false);
    }
  }

  /** An image that is here needs only its names. */
  private tagKnown(reference: Reference, digest: string): Promise<Image | undefined> {
    return this.store.state
      .update((state) => {
        const id = state.digests[`${reference.name}@${digest}`];
        if (!id) return undefined;
        if (!reference.digest) state.tags[reference.full] = id;
        delete state.aliased[reference.full];
        return id;
      })
      .then((id) => (id ? this.store.get(id) : undefined));
  }

  private async download(reference: Reference, resolved: Resolved, options: PullOptions): Promise<Image> {
    const { repository } = resolved;
    const { manifest, document } = await findManifest(reference, resolved);
    const config = await repository.smallBlob(manifest.config.digest);
    const { diffIds } = parseConfig(config, `config of ${reference.full}`);
    const missing = chainIds(diffIds).map((chainId) => !this.store.layers.has(chainId));
    const total = manifest.layers.reduce((sum, layer, i) => sum + (missing[i] ? layer.size : 0), 0);
    const abort = new AbortController();
    const signal = AbortSignal.any([abort.signal, options.signal!]);
    const downloads = new Downloads(this.store.blobs, repository, signal, (done) =>
      options.onProgress?.(done, total),
    );
    const begun = manifest.layers.map((layer, i) => (missing[i] ? downloads.fetch(layer) : undefined));
    for (const file of begun) file?.catch(() => {});
    let keep = false;
    try {
      return await this.store.install({
        name: reference.full,
        config,
        manifest: document,
        tags: reference.digest ? [] : [reference.full],
        digests: [`${reference.name}@${resolved.digest}`],
        layers: manifest.layers.map((layer, i) => ({
          name: `layer ${layer.digest} of ${reference.full}`,
          digest: layer.digest,
          size: layer.size,
          open: async () =>
            createReadStream(await (begun[i] ?? downloads.fetch(layer)), { highWaterMark: 1 << 18 }),
        })),
        signal,
      });
    } catch (error) {
      keep = !(error instanceof ImageError && error.code === 'Corrupt');
      throw error;
    } finally {
      abort.abort();
      await Promise.allSettled(begun);
      await downloads.close(keep);
    }
  }

  async close(): Promise<void> {
    await this.pulls.close();
    await this.http.close();
  }
}

/** Through indexes to the manifest for this machine. */
async function findManifest(
  reference: Reference,
  { repository, document }: Resolved,
): Promise<{ manifest: Manifest; document: Buffer }> {
  for (let depth = 0; depth < 5; depth++) {
    const { manifest, index } = parseManifest(document, `manifest of ${reference.full}`);
    if (manifest) return { manifest, document };
    const chosen: Descriptor | undefined = choosePlatform(index!);
    if (!chosen) throw new ImageError('NotFound', 'no match for platform in manifest: not found');
    ({ document } = await repository.manifest(chosen.digest));
  }
  throw new ImageError('Corrupt', `image ${reference.full} is corrupt: its indexes are nested too deep`);
}

/** In the words that a container runtime has for it; aborts pass as they are. */
function notPulled(reference: Reference, error: unknown, resolving: boolean): unknown {
  if ((error as Error).name === 'AbortError') return error;
  const { full } = reference;
  const where = resolving ? `failed to resolve reference ${JSON.stringify(full)}: ` : '';
  const code = error instanceof ImageError ? error.code : 'Internal';
  return new ImageError(
    code,
    `failed to pull and unpack image ${JSON.stringify(full)}: ${where}${(error as Error).message}`,
  );
}
