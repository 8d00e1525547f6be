/** Whose credentials do not count any more, by the identities in the store. */
import type { Secret } from '#types';
import { unauthorized } from '../api/machinery/status.js';
import { RevisionError, type Store, type Watcher } from '../store/store.js';
import {
  IDENTITY_NAMESPACE,
  IDENTITY_PREFIX,
  type Identity,
  identitySecretName,
  readIdentity,
} from './identities.js';

const FOLDER = `core/secrets/${IDENTITY_NAMESPACE}/`;

/** Needs `close`. */
export class Revocations {
  readonly #store: Store;
  readonly #closed = new AbortController();
  readonly #listeners = new Map<string, Set<() => void>>();
  #following = false;

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * Whether a credential of `name` counts.
   * @param issuedAt when its certificate begins (milliseconds since the epoch); absent for a credential that does not tell
   */
  allows(name: string, issuedAt?: number): boolean {
    const identity = this.#find(name);
    if (!identity) return true;
    return issuedAt === undefined ? !identity.removed : !(issuedAt <= (identity.validFrom ?? 0));
  }

  /** Throws 401 where `allows` is false. */
  check(name: string, issuedAt?: number): void {
    if (!this.allows(name, issuedAt)) throw unauthorized();
  }

  /** The moment after which a certificate of `name` has to begin. */
  validFrom(name: string): number | undefined {
    return this.#find(name)?.validFrom;
  }

  /** Calls `listener` when credentials of `name` are taken back. Returns what ends that. */
  onRevoked(name: string, listener: () => void): () => void {
    this.#follow();
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    return () => {
      if (listeners.delete(listener) && listeners.size === 0) this.#listeners.delete(name);
    };
  }

  close(): void {
    this.#closed.abort();
  }

  #find(name: string): Identity | undefined {
    const secret = this.#store.get(FOLDER + identitySecretName(name))?.object as Secret | undefined;
    return secret && readIdentity(secret);
  }

  async #follow(): Promise<void> {
    if (this.#following) return;
    this.#following = true;
    const { signal } = this.#closed;
    let watcher = this.#watch();
    while (!signal.aborted) {
      try {
        for (const { stored, previous } of await watcher.next(signal))
          this.#changed(
            readIdentity(stored.object as Secret),
            previous && readIdentity(previous.object as Secret),
          );
      } catch (error) {
        if (!(error instanceof RevisionError)) break;
        watcher.close();
        watcher = this.#watch();
        for (const name of this.#listeners.keys()) if (!this.allows(name)) this.#tell(name);
      }
    }
    watcher.close();
  }

  #watch(): Watcher {
    return this.#store.watch(FOLDER + IDENTITY_PREFIX, this.#store.revision);
  }

  #changed(identity: Identity | undefined, before: Identity | undefined): void {
    if (identity?.validFrom !== undefined && identity.validFrom !== before?.validFrom)
      this.#tell(identity.name);
  }

  #tell(name: string): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) listener();
  }
}
