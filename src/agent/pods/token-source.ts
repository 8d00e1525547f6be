/** Service account tokens of one pod: kept until they are due, and asked for again in time (kubelet `token_manager`). */
import type { Clock } from '../../api/machinery/clock.js';

interface Kept {
  token: string;
  renewAt: number;
}

/** A token is renewed after four fifths of its life, and after a day at the latest. */
const MAX_AGE_MS = 24 * 3600_000;
const RETRY_MS = 10_000;

export class TokenSource {
  /** Told when a token should be written anew. */
  onRotate: () => void = () => {};
  readonly #tokens = new Map<string, Kept>();
  #cancel: (() => void) | undefined;
  #closed = false;

  constructor(
    private readonly clock: Clock,
    private readonly request: (
      audience: string,
      seconds: number,
    ) => Promise<{ token: string; expires: number }>,
  ) {}

  /** A token that is good for some time. An old one that still counts is given when no new one can be had. */
  async get(audience: string, seconds: number): Promise<string> {
    const key = `${audience} ${seconds}`;
    const kept = this.#tokens.get(key);
    const now = this.clock.now();
    if (kept && kept.renewAt > now) return kept.token;
    try {
      const { token, expires } = await this.request(audience, seconds);
      this.#tokens.set(key, { token, renewAt: now + Math.min((expires - now) * 0.8, MAX_AGE_MS) });
      this.#plan();
      return token;
    } catch (error) {
      if (!kept) throw error;
      this.#tokens.set(key, { ...kept, renewAt: now + RETRY_MS });
      this.#plan();
      return kept.token;
    }
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  #plan(): void {
    this.#cancel?.();
    if (this.#closed) return;
    const next = Math.min(...[...this.#tokens.values()].map((kept) => kept.renewAt));
    this.#cancel = this.clock.after(Math.max(0, next - this.clock.now()), () => this.onRotate());
  }
}
