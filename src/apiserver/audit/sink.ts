/** Where audit events go. */

export interface Sink {
  /** For metrics: `log` or `webhook`. */
  readonly name: string;
  /** Takes an event that is never changed, and `line`, its JSON. Never throws and never waits. */
  write(event: object, line: string): void;
  /** Events that were lost. */
  readonly lost: number;
  /** Brings out what is left, as far as that can be done soon. Never rejects. */
  close(): Promise<void>;
}
