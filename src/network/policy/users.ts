/** Names that are needed as long as somebody uses them. */
export class Users {
  readonly #users = new Map<string, Set<string>>();
  readonly #byOwner = new Map<string, string[]>();
  /** Names whose users have changed since the caller emptied it. */
  readonly touched = new Set<string>();

  /** Replaces what `owner` uses. */
  set(owner: string, names: string[]): void {
    const before = this.#byOwner.get(owner) ?? [];
    if (names.length > 0) this.#byOwner.set(owner, names);
    else this.#byOwner.delete(owner);
    for (const name of names) {
      const users = this.#users.get(name) ?? new Set();
      this.#users.set(name, users.add(owner));
      this.touched.add(name);
    }
    for (const name of before) {
      if (names.includes(name)) continue;
      const users = this.#users.get(name)!;
      users.delete(owner);
      if (users.size === 0) this.#users.delete(name);
      this.touched.add(name);
    }
  }

  has(name: string): boolean {
    return this.#users.has(name);
  }

  names(): Iterable<string> {
    return this.#users.keys();
  }
}
