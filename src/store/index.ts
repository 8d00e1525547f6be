/** What others use of the store. */
export { type LevelStoreOptions, openLevelStore } from './leveldb/open.js';
export * from './store.js';
export {
  type AesKey,
  aesTransformer,
  identityTransformer,
  resourceTransformer,
  type Transformer,
} from './transformer.js';
