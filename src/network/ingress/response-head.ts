/** The head of an HTTP/1.1 response, and what it says of the body. Pure. */

/** The endpoint answered with what is no response, or one that may be read in two ways. */
export class ResponseError extends Error {}

export interface ResponseHead {
  status: number;
  reason: string;
  /** Names and values in turn, as they came, without what frames the body twice. */
  rawHeaders: string[];
  /** How the end of the body is known: its length in bytes, chunks, or the end of the connection. */
  body: number | 'chunked' | 'until-close';
  /** Whether the connection may take another request. */
  isKept: boolean;
  /** How long (ms) the endpoint says that it keeps an idle connection. */
  keepMs?: number;
}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: (.*))?$/;
const NAME = /^[\w!#$%&'*+\-.^`|~]+$/;
/** What no header may contain, line ends apart: what is passed on must not be read as more than one. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const FORBIDDEN = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)/;

/**
 * Parses a head without the empty line at its end; `method` is the request's.
 * @throws ResponseError
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-6.3
 */
export function parseHead(text: string, method: string): ResponseHead {
  const lines = text.split('\n');
  const [, minor, code, reason = ''] = STATUS_LINE.exec(withoutReturn(lines[0]!)) ?? [];
  if (!code || FORBIDDEN.test(text)) throw new ResponseError('the endpoint answered with no valid response');
  const status = Number(code);
  const rawHeaders: string[] = [];
  let length: number | undefined;
  let encoding = '';
  let connection = '';
  let keepMs: number | undefined;
  for (const [name, value] of fields(lines, 1)) {
    // Most names are told apart by their length alone.
    switch (name.length) {
      case 10:
        if (name.toLowerCase() === 'connection') connection += `${value},`;
        else if (name.toLowerCase() === 'keep-alive') keepMs = timeoutOf(value);
        break;
      case 14:
        if (name.toLowerCase() !== 'content-length') break;
        if (!/^\d{1,15}$/.test(value) || (length !== undefined && length !== Number(value)))
          throw new ResponseError('the endpoint answered with no valid Content-Length');
        if (length !== undefined) continue;
        length = Number(value);
        break;
      case 17:
        if (name.toLowerCase() === 'transfer-encoding') encoding += `${value},`;
        break;
    }
    rawHeaders.push(name, value);
  }
  if (encoding && !/^\s*chunked\s*,$/i.test(encoding))
    throw new ResponseError('the endpoint answered with a transfer coding other than chunked');
  // Chunks count, but who says both is not trusted with another request.
  const isAmbiguous = encoding !== '' && length !== undefined;
  const body = bodyOf(method, status, encoding !== '', length);
  const isKept =
    body !== 'until-close' &&
    !isAmbiguous &&
    (minor === '1' ? !/\bclose\b/i.test(connection) : /\bkeep-alive\b/i.test(connection));
  const head = isAmbiguous ? without('content-length', rawHeaders) : rawHeaders;
  return { status, reason, rawHeaders: head, body, isKept, ...(keepMs === undefined ? {} : { keepMs }) };
}

/** The fields of trailers. @throws ResponseError */
export function parseTrailers(text: string): Record<string, string | string[]> {
  if (FORBIDDEN.test(text)) throw new ResponseError('the endpoint answered with no valid trailers');
  const trailers: Record<string, string | string[]> = {};
  for (const [name, value] of fields(text.split('\n'), 0)) {
    const known = trailers[name];
    trailers[name] = known === undefined ? value : [known, value].flat();
  }
  return trailers;
}

function bodyOf(
  method: string,
  status: number,
  isChunked: boolean,
  length: number | undefined,
): ResponseHead['body'] {
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return 0;
  return isChunked ? 'chunked' : (length ?? 'until-close');
}

function* fields(lines: string[], from: number): Generator<[name: string, value: string]> {
  for (let i = from; i < lines.length; i++) {
    let line = withoutReturn(lines[i]!);
    if (line === '') continue;
    // A folded line goes on with the value (RFC 9112, 5.2).
    while (i + 1 < lines.length && /^[ \t]/.test(lines[i + 1]!))
      line += ` ${withoutReturn(lines[++i]!).trim()}`;
    const colon = line.indexOf(':');
    const name = line.slice(0, colon);
    if (colon < 1 || !NAME.test(name)) throw new ResponseError('the endpoint answered with a bad header');
    yield [name, line.slice(colon + 1).trim()];
  }
}

const withoutReturn = (line: string): string => (line.endsWith('\r') ? line.slice(0, -1) : line);

/** `timeout=5` of a Keep-Alive header. */
function timeoutOf(value: string): number | undefined {
  const seconds = /\btimeout=(\d{1,6})\b/i.exec(value)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}

const without = (dropped: string, raw: string[]): string[] =>
  raw.filter((_, i) => raw[i - (i % 2)]!.toLowerCase() !== dropped);
