/** A stored version as another version of its kind shows it. */
import type { KubeObject } from '../../api/machinery/types.js';
import type { Stored } from '../../store/store.js';

export class StoredView implements Stored {
  readonly encodings = new Map<string, unknown>();
  #json: Buffer | undefined;

  constructor(
    readonly key: string,
    readonly revision: number,
    readonly object: KubeObject,
  ) {}

  get json(): Buffer {
    this.#json ??= Buffer.from(JSON.stringify(this.object));
    return this.#json;
  }
}
