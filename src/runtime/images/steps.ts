/** Steps of builds: layers that are kept, so that the same step need not be taken again. */
import type { LayerStore } from './layers.js';
import type { CacheRecord, StateFile } from './state.js';
import { type TarItem, tarStream } from './tar-writer.js';

/** How exact `usedAt` is. */
const USE_MS = 60_000;

export class BuildSteps {
  constructor(
    private readonly state: StateFile,
    private readonly layers: LayerStore,
  ) {}

  async find(key: string, now: number): Promise<CacheRecord | undefined> {
    const record = this.state.current().cache?.[key];
    if (record && now - record.usedAt > USE_MS)
      await this.state.update((state) => {
        const own = state.cache?.[key];
        if (own) own.usedAt = now;
      });
    return record;
  }

  /** Makes the layer over its parents (chain IDs, lowest first), and keeps it under the key. */
  async add(
    key: string,
    parents: string[],
    items: AsyncIterable<TarItem> | Iterable<TarItem>,
    { created, usedAt }: { created: string; usedAt: number },
    signal: AbortSignal,
  ): Promise<CacheRecord> {
    let record: CacheRecord | undefined;
    const source = { name: 'the new layer', open: async () => tarStream(items) };
    await this.layers.add(parents, source, signal, (state, { chainId, diffId }) => {
      record = { created, layers: [...parents, chainId], diffId, usedAt };
      state.cache = { ...state.cache, [key]: record };
    });
    return record!;
  }
}
