/** Pulling: registry or alias, and one pull for all who ask for the same image. */
import { type Image, ImageError, type PullOptions } from '../types.js';
import type { Reference } from './reference.js';
import type { LocalImageStore } from './store.js';

export class Puller {
  constructor(
    private readonly store: LocalImageStore,
    readonly registries: string | undefined,
  ) {}

  async pull(reference: Reference, _options: PullOptions): Promise<Image> {
    const found = this.store.find(reference.full);
    if (found) return found;
    const alias = this.store.aliases.find(reference);
    const served = alias && this.store.find(alias.target.full);
    if (!served) throw new ImageError('Unreachable', `failed to pull and unpack image "${reference.full}"`);
    await this.store.state.update((state) => {
      state.aliased[reference.full] = alias.target.full;
    });
    return served;
  }

  async close(): Promise<void> {}
}
