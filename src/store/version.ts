/**
 * One version of an object. Its JSON is always there. The decoded form is kept while the version is new;
 * later it lives as long as somebody else holds it (informers share it), and is decoded again when asked for.
 */
import { toJson } from '../api/machinery/json.js';
import { deepFreeze, type KubeObject } from '../api/machinery/types.js';
import type { Key, Stored } from './store.js';

export class Version implements Stored {
  #object: KubeObject | undefined;
  #weak: WeakRef<KubeObject> | undefined;
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
    const known = this.#object ?? this.#weak?.deref();
    if (known !== undefined) return known;
    const object = deepFreeze(JSON.parse(this.json.toString('utf8'))) as KubeObject;
    this.#weak = new WeakRef(object);
    return object;
  }

  get encodings(): Map<string, unknown> {
    this.#encodings ??= new Map();
    return this.#encodings;
  }

  /** It is not new any more. */
  cool(): void {
    if (this.#object === undefined) return;
    this.#weak = new WeakRef(this.#object);
    this.#object = undefined;
  }

  /** It is superseded: hardly anybody reads it any more. */
  retire(): void {
    this.cool();
    this.#encodings = undefined;
  }
}

/** A new version: `object` with the revision as its resourceVersion, frozen and encoded. */
export function newVersion(key: Key, revision: number, index: number, object: KubeObject): Version {
  const metadata = { ...object.metadata, resourceVersion: String(revision) };
  const stamped = deepFreeze({ ...object, metadata });
  return new Version(key, revision, index, encode(toJson(stamped)), stamped);
}

/** Not from Node's pool of buffers: what lives long would hold on to slabs of what does not. */
function encode(text: string): Buffer {
  const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
  bytes.write(text);
  return bytes;
}
