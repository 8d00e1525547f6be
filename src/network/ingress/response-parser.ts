/** Reads the responses of a connection of HTTP/1.1 from its bytes, in whatever pieces they come. Pure. */
import { parseHead, parseTrailers, ResponseError, type ResponseHead } from './response-head.js';

export interface ResponseEvents {
  head(head: ResponseHead): void;
  body(piece: Buffer): void;
  end(trailers: Record<string, string | string[]>): void;
}

const MAX_HEAD_BYTES = 64 << 10;
const MAX_CHUNK_LINE_BYTES = 4096;
const NOTHING: Buffer = Buffer.alloc(0);
const NO_TRAILERS = {};

type State = 'idle' | 'head' | 'sized' | 'until-close' | 'chunk-line' | 'chunk' | 'chunk-end' | 'trailers';

export class ResponseParser {
  readonly #events: ResponseEvents;
  #state: State = 'idle';
  #method = '';
  /** What is left of the body, or of the chunk. */
  #left = 0;
  /** What came and can't be understood without more. */
  #held = NOTHING;

  constructor(events: ResponseEvents) {
    this.#events = events;
  }

  /** A request was sent: its response is to come. */
  expect(method: string): void {
    this.#method = method;
    this.#state = 'head';
  }

  /** What comes after the response's end, or after the head of 101, is returned. @throws ResponseError */
  read(bytes: Buffer): Buffer {
    let rest = this.#held.length > 0 ? Buffer.concat([this.#held, bytes]) : bytes;
    this.#held = NOTHING;
    while (this.#state !== 'idle' && rest.length > 0) {
      const next = this.#step(rest);
      if (next === undefined) {
        this.#held = rest;
        return NOTHING;
      }
      rest = next;
    }
    return rest;
  }

  /** The connection has ended; whether the response is whole. */
  close(): boolean {
    if (this.#state === 'until-close') this.#end(NO_TRAILERS);
    return this.#state === 'idle';
  }

  /** What is left after one step; undefined: more has to come first. */
  #step(bytes: Buffer): Buffer | undefined {
    switch (this.#state) {
      case 'head':
        return this.#head(bytes);
      case 'sized':
      case 'chunk':
        return this.#body(bytes);
      case 'chunk-line':
        return this.#chunkLine(bytes);
      case 'chunk-end':
        return this.#chunkEnd(bytes);
      case 'trailers':
        return this.#trailers(bytes);
      default:
        this.#events.body(bytes);
        return NOTHING;
    }
  }

  #head(bytes: Buffer): Buffer | undefined {
    const [end, next] = headEnd(bytes);
    if (end === -1) return needMore(bytes, MAX_HEAD_BYTES);
    if (end > MAX_HEAD_BYTES) needMore(bytes, 0);
    const head = parseHead(bytes.toString('latin1', 0, end), this.#method);
    if (head.status < 200 && head.status !== 101) return bytes.subarray(next);
    this.#events.head(head);
    if (head.status === 101) this.#state = 'idle';
    else if (head.body === 0) this.#end(NO_TRAILERS);
    else if (head.body === 'chunked') this.#state = 'chunk-line';
    else if (head.body === 'until-close') this.#state = 'until-close';
    else [this.#state, this.#left] = ['sized', head.body];
    return bytes.subarray(next);
  }

  #body(bytes: Buffer): Buffer {
    const piece = bytes.length > this.#left ? bytes.subarray(0, this.#left) : bytes;
    this.#left -= piece.length;
    this.#events.body(piece);
    if (this.#left === 0) {
      if (this.#state === 'chunk') this.#state = 'chunk-end';
      else this.#end(NO_TRAILERS);
    }
    return bytes.subarray(piece.length);
  }

  #chunkLine(bytes: Buffer): Buffer | undefined {
    const end = bytes.indexOf(10);
    if (end === -1) return needMore(bytes, MAX_CHUNK_LINE_BYTES);
    const size = /^([0-9a-f]{1,12})[ \t]*(?:;.*)?\r?$/i.exec(bytes.toString('latin1', 0, end))?.[1];
    if (!size) throw new ResponseError('the endpoint answered with a bad chunk');
    this.#left = Number.parseInt(size, 16);
    this.#state = this.#left === 0 ? 'trailers' : 'chunk';
    return bytes.subarray(end + 1);
  }

  #chunkEnd(bytes: Buffer): Buffer | undefined {
    const length = bytes[0] === 10 ? 1 : 2;
    if (bytes.length < length) return undefined;
    if (bytes[length - 1] !== 10 || (length === 2 && bytes[0] !== 13))
      throw new ResponseError('the endpoint answered with a bad chunk');
    this.#state = 'chunk-line';
    return bytes.subarray(length);
  }

  #trailers(bytes: Buffer): Buffer | undefined {
    // None: an empty line at once.
    if (bytes[0] === 10 || (bytes[0] === 13 && bytes[1] === 10)) {
      this.#end(NO_TRAILERS);
      return bytes.subarray(bytes[0] === 10 ? 1 : 2);
    }
    const [end, next] = headEnd(bytes);
    if (end === -1) return needMore(bytes, MAX_HEAD_BYTES);
    this.#end(parseTrailers(bytes.toString('latin1', 0, end)));
    return bytes.subarray(next);
  }

  #end(trailers: Record<string, string | string[]>): void {
    this.#state = 'idle';
    this.#events.end(trailers);
  }
}

function needMore(bytes: Buffer, limit: number): undefined {
  if (bytes.length > limit) throw new ResponseError('the endpoint answered with headers that are too long');
}

/** Where the empty line begins that ends a head, and where it ends; -1: nowhere yet. Bare line feeds count too. */
function headEnd(bytes: Buffer): [end: number, next: number] {
  const usual = bytes.indexOf('\r\n\r\n', 0, 'latin1');
  const bare = (usual === -1 ? bytes : bytes.subarray(0, usual)).indexOf('\n\n', 0, 'latin1');
  if (bare !== -1) return [bare, bare + 2];
  return usual === -1 ? [-1, -1] : [usual, usual + 4];
}
