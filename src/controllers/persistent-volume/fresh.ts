/** An informer's cache with one's own last writes on top: what was just written counts although no event told of it yet. */
import { type KubeObject, objectKey } from '../../api/machinery/types.js';
import type { Informer } from '../../client/index.js';

const revision = ({ metadata }: KubeObject): bigint => BigInt(metadata.resourceVersion ?? 0);

export class Fresh<T extends KubeObject> {
  readonly #informer: Informer<T>;
  readonly #written = new Map<string, T>();
  readonly close: () => void;

  constructor(informer: Informer<T>) {
    this.#informer = informer;
    this.close = informer.on({
      updated: (_, object) => this.#seen(object),
      deleted: (object) => this.#written.delete(objectKey(object)),
    });
  }

  get(key: string): T | undefined {
    const known = this.#informer.get(key);
    return known && this.#newest(known);
  }

  list(): T[] {
    const known = this.#informer.list();
    return this.#written.size === 0 ? known : known.map((object) => this.#newest(object));
  }

  /** `object` came back from a write. */
  wrote(object: T): T {
    const known = this.#informer.get(objectKey(object));
    if (known !== undefined && revision(known) < revision(object))
      this.#written.set(objectKey(object), object);
    return object;
  }

  #newest(known: T): T {
    const written = this.#written.get(objectKey(known));
    return written !== undefined && revision(written) > revision(known) ? written : known;
  }

  #seen(object: T): void {
    const key = objectKey(object);
    const written = this.#written.get(key);
    if (written !== undefined && revision(written) <= revision(object)) this.#written.delete(key);
  }
}
