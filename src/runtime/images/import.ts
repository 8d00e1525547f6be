/** Imports archives. */
import { type Image, ImageError } from '../types.js';
import type { LocalImageStore } from './store.js';

export async function importArchive(_store: LocalImageStore, path: string, _name?: string): Promise<Image[]> {
  throw new ImageError('Unsupported', `cannot import ${path}`);
}
