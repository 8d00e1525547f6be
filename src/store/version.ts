/** One version of an object: its JSON is always there, its decoded form from when it is first asked for. */
import { deepFreeze, type KubeObject } from '../api/machinery/types.js';
import type { Key, Stored } from './store.js';

export class Version implements Stored {
  #object: KubeObject | undefined;
  #encodings: Map<string, unknown> | undefined;

  constructor(
    readonly key: Key,
    readonly revision: number,
    /** Its place among the writes of its commit. */
    readonly index: number,
    readonly json: Buffer,
    object?: KubeObject,
  ) {
    this.#object = object;
  }

  get object(): KubeObject {
    this.#object ??= deepFreeze(JSON.parse(this.json.toString('utf8'))) as KubeObject;
    return this.#object;
  }

  get encodings(): Map<string, unknown> {
    this.#encodings ??= new Map();
    return this.#encodings;
  }

  /** Keeps only the JSON: for what is superseded, and hardly ever read again. */
  release(): void {
    this.#object = undefined;
    this.#encodings = undefined;
  }
}

/** A new version: `object` with the revision as its resourceVersion, frozen and encoded. */
export function newVersion(key: Key, revision: number, index: number, object: KubeObject): Version {
  const metadata = { ...object.metadata, resourceVersion: String(revision) };
  const stamped = deepFreeze({ ...object, metadata });
  return new Version(key, revision, index, Buffer.from(JSON.stringify(stamped)), stamped);
}
