/** Lines of CRI-format logs (`<time> <stream> <tags> <text>`): parsed and formatted in buffers, chunk by chunk. */

export interface LineOptions {
  timestamps: boolean;
  /** Milliseconds since the epoch: older lines are left out. */
  since?: number;
  /** Only this stream; both when absent. */
  stream?: 'stdout' | 'stderr';
  /** Stop after so many bytes of output. */
  limitBytes?: number;
}

const SPACE = 0x20;
const NEWLINE = 0x0a;
const P = 0x50;

/** Turns chunks of a log file into what a client sees. */
export class LineFormatter {
  /** All that was asked for has been given. */
  done = false;
  readonly #options: LineOptions;
  #rest: Buffer = Buffer.alloc(0);
  #old: boolean;
  #left: number;

  constructor(options: LineOptions) {
    this.#options = options;
    this.#old = options.since !== undefined;
    this.#left = options.limitBytes ?? Number.POSITIVE_INFINITY;
  }

  /** The output of the whole lines in what has come so far. */
  push(chunk: Buffer): Buffer {
    const data = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    const parts: Buffer[] = [];
    let start = 0;
    for (let end = data.indexOf(NEWLINE); end >= 0 && !this.done; end = data.indexOf(NEWLINE, start)) {
      this.#line(data.subarray(start, end + 1), parts);
      start = end + 1;
    }
    // A copy: the chunk's memory is used again by who reads the file.
    this.#rest = Buffer.from(data.subarray(start));
    return Buffer.concat(parts);
  }

  /** `line` ends in its newline. */
  #line(line: Buffer, parts: Buffer[]): void {
    const time = line.indexOf(SPACE);
    const stream = line.indexOf(SPACE, time + 1);
    const tag = line.indexOf(SPACE, stream + 1);
    if (time <= 0 || stream < 0 || tag < 0) return;
    if (this.#old) {
      if (Date.parse(line.toString('latin1', 0, time)) < this.#options.since!) return;
      // Lines are in the order of time: from here on all are new enough.
      this.#old = false;
    }
    const wanted = this.#options.stream;
    if (wanted && line.toString('latin1', time + 1, stream) !== wanted) return;
    if (this.#options.timestamps) this.#add(line.subarray(0, time + 1), parts);
    // A part of a long line has no end of its own.
    const partial = line[stream + 1] === P;
    this.#add(line.subarray(tag + 1, partial ? line.length - 1 : line.length), parts);
  }

  #add(bytes: Buffer, parts: Buffer[]): void {
    if (this.done) return;
    const taken = bytes.length > this.#left ? bytes.subarray(0, this.#left) : bytes;
    this.#left -= taken.length;
    if (this.#left === 0) this.done = true;
    parts.push(taken);
  }
}
