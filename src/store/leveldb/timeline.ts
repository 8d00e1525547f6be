/** Which revision was the newest at a time, to a second: what the window of compaction is measured by. */

const RESOLUTION = 1000;

export class TimeLine {
  /** In order of both. */
  #marks: { revision: number; time: number }[] = [];

  /** `revision` was committed at `time`. */
  mark(revision: number, time: number): void {
    const last = this.#marks[this.#marks.length - 1];
    if (last !== undefined && time - last.time < RESOLUTION) last.revision = revision;
    else this.#marks.push({ revision, time });
  }

  /** The newest revision that was committed before `time`, or 0. Older marks are forgotten. */
  before(time: number): number {
    const next = this.#marks.findIndex((mark) => mark.time + RESOLUTION > time);
    const count = next < 0 ? this.#marks.length : next;
    if (count === 0) return 0;
    const { revision } = this.#marks[count - 1]!;
    this.#marks.splice(0, count - 1);
    return revision;
  }
}
