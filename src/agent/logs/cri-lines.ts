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

interface Output {
  bytes: Buffer;
  length: number;
}

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
    // What is shown of a line is never longer than the line.
    const output: Output = { bytes: Buffer.allocUnsafe(data.length), length: 0 };
    let start = 0;
    for (let end = data.indexOf(NEWLINE); end >= 0 && !this.done; end = data.indexOf(NEWLINE, start)) {
      this.#line(data, start, end, output);
      start = end + 1;
    }
    // A copy: the chunk's memory is used again by who reads the file.
    this.#rest = Buffer.from(data.subarray(start));
    return output.bytes.subarray(0, output.length);
  }

  /** The line from `start` to its newline at `end`. Takes numbers, as there are millions of lines. */
  #line(data: Buffer, start: number, end: number, output: Output): void {
    const time = nextSpace(data, start, end);
    const stream = nextSpace(data, time + 1, end);
    const tag = nextSpace(data, stream + 1, end);
    if (time === start || tag >= end) return;
    if (this.#old) {
      if (Date.parse(data.toString('latin1', start, time)) < this.#options.since!) return;
      // Lines are in the order of time: from here on all are new enough.
      this.#old = false;
    }
    const wanted = this.#options.stream;
    if (wanted && data.toString('latin1', time + 1, stream) !== wanted) return;
    if (this.#options.timestamps) this.#add(data, start, time + 1, output);
    // A part of a long line has no end of its own.
    const isPart = data[stream + 1] === P;
    this.#add(data, tag + 1, isPart ? end : end + 1, output);
  }

  #add(data: Buffer, start: number, end: number, output: Output): void {
    const length = Math.min(end - start, this.#left);
    data.copy(output.bytes, output.length, start, start + length);
    output.length += length;
    this.#left -= length;
    if (this.#left === 0) this.done = true;
  }
}

/** `end` if there is none before. */
function nextSpace(data: Buffer, from: number, end: number): number {
  let at = from;
  while (at < end && data[at] !== SPACE) at++;
  return at;
}
