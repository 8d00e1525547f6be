/** Removes images nobody uses when the disk gets full, or when they are too old (kubelet `images/image_gc_manager`). */
import type { Logger } from 'pino';
import type { Clock } from '../../api/machinery/clock.js';
import { isBuiltIn } from '../../runtime/images/builtin.js';
import { type Image, ImageError, type ImageStore } from '../../runtime/types.js';

const INTERVAL_MS = 5 * 60_000;

export interface ImageGcSettings {
  /** Percent of the disk: from the first on images go until the second is reached. 100: never. */
  high: number;
  low: number;
  /** Milliseconds that an image stays at least. */
  minAgeMs: number;
  /** Milliseconds without use after which one goes in any case; 0: never. */
  maxAgeMs: number;
}

export interface ImageGcOptions {
  settings: ImageGcSettings;
  images: ImageStore;
  clock: Clock;
  logger: Logger;
  /** Ids of the images that something uses. */
  inUse(): Promise<ReadonlySet<string>>;
  /** Bytes of the disk with the images. */
  disk(): { available: number; capacity: number };
  /** What builds keep and no image has; before any image. */
  dropBuildSteps(): Promise<unknown>;
  /** The images are others now. */
  changed(): void;
  /** About the node. */
  event(reason: string, message: string): void;
}

interface Seen {
  detectedAt: number;
  usedAt: number;
}

export class ImageGc {
  readonly #options: ImageGcOptions;
  readonly #seen = new Map<string, Seen>();
  #cancel: (() => void) | undefined;
  #failures = 0;
  #closed = false;

  constructor(options: ImageGcOptions) {
    this.#options = options;
    void this.#detect().finally(() => this.#wait());
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  #wait(): void {
    if (this.#closed) return;
    this.#cancel = this.#options.clock.after(
      INTERVAL_MS,
      () => void this.#tick().finally(() => this.#wait()),
    );
  }

  /** The first failure may be that of a node that has just begun. */
  async #tick(): Promise<void> {
    try {
      await this.collect();
      this.#failures = 0;
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'images could not be collected');
      if (++this.#failures > 1) this.#options.event('ImageGCFailed', (error as Error).message);
    }
  }

  /** One look at the disk. Rejects when not enough could be freed. */
  async collect(): Promise<void> {
    const { settings, disk, event, logger } = this.#options;
    const freed = await this.#removeOld();
    const { available, capacity } = disk();
    if (capacity === 0) {
      event('InvalidDiskCapacity', 'invalid capacity 0 on image filesystem');
      throw new Error('invalid capacity 0 on image filesystem');
    }
    const used = 100 - Math.floor((available * 100) / capacity);
    if (settings.high >= 100 || used < settings.high) {
      if (freed > 0) this.#options.changed();
      return;
    }
    const wanted = Math.floor((capacity * (100 - settings.low)) / 100) - available;
    logger.info({ used, wanted }, 'the disk is filled above the high threshold: images go');
    const won = await this.free(wanted);
    if (won >= wanted) return;
    const message = `Failed to garbage collect required amount of images. Attempted to free ${wanted} bytes, but only found ${won} bytes eligible to free.`;
    event('FreeDiskSpaceFailed', message);
    throw new Error(message);
  }

  /** Removes images, least recently used first, until so many bytes are won; gives what was. */
  async free(bytes: number): Promise<number> {
    const { clock, dropBuildSteps, disk, settings } = this.#options;
    const used = await this.#detect();
    const start = disk().available;
    const won = () => disk().available - start;
    await dropBuildSteps();
    let freed = Math.max(0, won());
    const now = clock.elapsed();
    const candidates = this.#unused(used).filter(
      ({ id }) => now - this.#seen.get(id)!.detectedAt >= settings.minAgeMs,
    );
    for (const image of candidates) {
      if (freed >= bytes) break;
      await this.#remove(image);
      freed += image.size;
    }
    this.#options.changed();
    return freed;
  }

  async #removeOld(): Promise<number> {
    const { settings, clock } = this.#options;
    const used = await this.#detect();
    if (settings.maxAgeMs <= 0) return 0;
    const now = clock.elapsed();
    const old = this.#unused(used).filter(({ id }) => {
      const { usedAt, detectedAt } = this.#seen.get(id)!;
      return now - (usedAt || detectedAt) > settings.maxAgeMs;
    });
    for (const image of old) await this.#remove(image);
    return old.length;
  }

  /** Takes note of what is there, and of what is used now. */
  async #detect(): Promise<ReadonlySet<string>> {
    const { images, clock, inUse } = this.#options;
    const used = await inUse();
    const now = clock.elapsed();
    const there = new Set(images.list().map(({ id }) => id));
    for (const id of this.#seen.keys()) if (!there.has(id)) this.#seen.delete(id);
    for (const id of there) {
      const seen = this.#seen.get(id) ?? { detectedAt: now, usedAt: 0 };
      this.#seen.set(id, used.has(id) ? { ...seen, usedAt: now } : seen);
    }
    return used;
  }

  /** Least recently used first, then those that are here longest. */
  #unused(used: ReadonlySet<string>): Image[] {
    const of = ({ id }: Image) => this.#seen.get(id)!;
    return this.#options.images
      .list()
      .filter((image) => !used.has(image.id) && !isBuiltIn(image) && this.#seen.has(image.id))
      .sort((a, b) => of(a).usedAt - of(b).usedAt || of(a).detectedAt - of(b).detectedAt);
  }

  async #remove({ id, tags, size }: Image): Promise<void> {
    this.#options.logger.info({ image: id, tags, size }, 'removing an image');
    this.#seen.delete(id);
    await this.#options.images.remove(id).catch((error) => {
      // Somebody else has removed it meanwhile.
      if (!(error instanceof ImageError && error.code === 'NotFound')) throw error;
    });
  }
}

const percent = (option: string, value: number): number => {
  if (!Number.isInteger(value) || value < 0 || value > 100)
    throw new Error(`--${option} takes a number from 0 to 100`);
  return value;
};

export interface ImageGcFlags {
  imageGcHighThreshold?: number;
  imageGcLowThreshold?: number;
  minimumImageTtlDuration?: string;
  imageMaximumGcAge?: string;
}

/** `duration` gives milliseconds of an option's text. @throws Error that says which option is wrong, and how. */
export function imageGcSettings(
  flags: ImageGcFlags,
  duration: (option: string, text: string) => number,
): ImageGcSettings {
  const high = percent('image-gc-high-threshold', flags.imageGcHighThreshold ?? 85);
  const low = percent('image-gc-low-threshold', flags.imageGcLowThreshold ?? 80);
  if (low >= high) throw new Error('--image-gc-low-threshold has to be below --image-gc-high-threshold');
  return {
    ...{ high, low },
    minAgeMs: duration('minimum-image-ttl-duration', flags.minimumImageTtlDuration ?? '2m'),
    maxAgeMs: duration('image-maximum-gc-age', flags.imageMaximumGcAge ?? '0s'),
  };
}
