/** Opens the embedded store in a folder. */
import type { Logger } from 'pino';
import type { Clock } from '../../api/machinery/clock.js';
import type { Store } from '../store.js';
import type { Transformer } from '../transformer.js';

export interface LevelStoreOptions {
  clock?: Clock;
  logger?: Logger;
  transformer?: Transformer;
  windowMs?: number;
  windowRevisions?: number;
  windowBytes?: number;
}

export async function openLevelStore(_dir: string, _options: LevelStoreOptions = {}): Promise<Store> {
  throw new Error('the embedded store is not there yet');
}
