/** Writes a result to an HTTP response: format, compression, streaming of watches and logs. */

import type { ServerResponse } from 'node:http';
import type { Http2ServerResponse } from 'node:http2';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { toJson } from '../../api/machinery/json.js';
import type { StatusError } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import type { Answer } from '../core.js';
import { type EncodeContext, eventBytes, listJson, objectJson, shapeList, shapeObject } from './encode.js';
import { listProtobuf, objectProtobuf, partialListProtobuf, valueProtobuf } from './encode-protobuf.js';
import { type Accepted, contentType } from './media-types.js';
import { includeOption } from './table.js';

export type Response = ServerResponse | Http2ServerResponse;

export interface RespondOptions {
  accepted: Accepted;
  query: URLSearchParams;
  acceptEncoding: string;
  userAgent: string;
  now: number;
  /** Is told what a watch sends. */
  sent?: (events: number, bytes: number) => void;
}

/** Upstream compresses answers from this size on. */
const GZIP_BYTES = 128 * 1024;
const gzipAsync = promisify(gzip);

export async function respond(response: Response, answer: Answer, options: RespondOptions): Promise<void> {
  for (const warning of new Set(answer.warnings)) appendWarning(response, warning);
  const { result } = answer;
  if (result.type === 'raw') return respondRaw(response, result, options);
  const ctx: EncodeContext = {
    resource: answer.resource,
    accepted: options.accepted,
    include: includeOption(options.query),
    now: options.now,
  };
  if (result.type === 'watch') return streamWatch(response, result.batches, ctx, options.sent);
  const { format, form, version } = options.accepted;
  const code = result.type === 'object' ? result.code : 200;
  if (format === 'protobuf' && result.type === 'list') {
    const { page } = result;
    const bytes =
      form === 'partial' ? partialListProtobuf(page, version) : listProtobuf(answer.resource!, page);
    return send(response, code, bytes, options);
  }
  if (format === 'protobuf' && form === 'object' && result.type === 'object' && result.stored)
    return send(response, code, objectProtobuf(result.stored), options);
  const plain = format === 'json' && form === 'object' && !isPretty(options);
  if (plain && result.type === 'list')
    return send(response, code, listJson(answer.resource!, result.page), options);
  if (plain && result.type === 'object' && result.stored)
    return send(response, code, objectJson(result.stored), options);
  const value = result.type === 'list' ? shapeList(result.page, ctx) : shapeObject(result.object, ctx);
  return sendValue(response, code, value, options);
}

/** An error as the Status object that clients expect. */
export async function respondError(
  response: Response,
  error: StatusError,
  options: RespondOptions,
): Promise<void> {
  const seconds = error.details?.retryAfterSeconds;
  if (seconds) response.setHeader('retry-after', String(seconds));
  if (error.code === 401) response.setHeader('www-authenticate', 'Bearer realm="kubernetes-master"');
  await sendValue(response, error.code, error.toStatus(), {
    ...options,
    accepted: { ...options.accepted, form: 'object' },
  });
}

/** RFC 7234 warning 299, as kubectl prints it. */
function appendWarning(response: Response, text: string): void {
  const clean = text
    .replace(/[\r\n]+/g, ' ')
    .replace(/["\\]/g, '\\$&')
    .replace(/[^\t\x20-\x7e]/g, '?');
  const before = response.getHeader('warning');
  const value = `299 - "${clean}"`;
  response.setHeader('warning', before === undefined ? [value] : [before as string | string[], value].flat());
}

function isPretty({ query, userAgent }: RespondOptions): boolean {
  const asked = query.get('pretty');
  if (asked !== null) return asked !== 'false' && asked !== '0';
  return /^(curl|Wget|Mozilla\/5\.0)/.test(userAgent);
}

async function sendValue(
  response: Response,
  code: number,
  value: unknown,
  options: RespondOptions,
): Promise<void> {
  if (options.accepted.format === 'protobuf')
    return send(response, code, valueProtobuf(value as KubeObject), options);
  if (options.accepted.format === 'yaml') {
    const { stringify } = await import('yaml');
    const text = stringify(value, {
      aliasDuplicateObjects: false,
      lineWidth: 0,
      sortMapEntries: true,
      // Clients read YAML 1.1, where a time or `yes` without quotes is no string.
      version: '1.1',
    });
    return send(response, code, Buffer.from(text), options);
  }
  const text = toJson(value, isPretty(options) ? 2 : undefined);
  return send(response, code, Buffer.from(`${text}\n`), options);
}

async function send(response: Response, code: number, bytes: Buffer, options: RespondOptions): Promise<void> {
  response.statusCode = code;
  response.setHeader('content-type', contentType(options.accepted.format, false));
  response.setHeader('cache-control', 'no-cache, private');
  response.setHeader('vary', 'Accept');
  if (bytes.length >= GZIP_BYTES && /\bgzip\b/.test(options.acceptEncoding)) {
    bytes = await gzipAsync(bytes, { level: 1 });
    response.setHeader('content-encoding', 'gzip');
    response.setHeader('vary', 'Accept, Accept-Encoding');
  }
  response.setHeader('content-length', bytes.length);
  response.end(bytes);
}

async function respondRaw(
  response: Response,
  { code, headers, body }: Extract<Answer['result'], { type: 'raw' }>,
  options: RespondOptions,
): Promise<void> {
  response.statusCode = code;
  response.setHeader('cache-control', 'no-cache, private');
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  if (typeof body !== 'string' && !Buffer.isBuffer(body)) {
    flushHeaders(response);
    // A client that goes away is no error of ours.
    await pipeline(body, response as ServerResponse).catch(() => undefined);
    return;
  }
  let bytes: Buffer = typeof body === 'string' ? Buffer.from(body) : body;
  if (
    bytes.length >= GZIP_BYTES &&
    response.getHeader('content-encoding') === undefined &&
    /\bgzip\b/.test(options.acceptEncoding)
  ) {
    bytes = await gzipAsync(bytes, { level: 1 });
    response.setHeader('content-encoding', 'gzip');
    response.setHeader('vary', 'Accept, Accept-Encoding');
  }
  if (code !== 304) response.setHeader('content-length', bytes.length);
  response.end(bytes);
}

function flushHeaders(response: Response): void {
  if ('stream' in response) response.writeHead(response.statusCode);
  else response.flushHeaders();
}

async function streamWatch(
  response: Response,
  batches: Extract<Answer['result'], { type: 'watch' }>['batches'],
  ctx: EncodeContext,
  sent?: (events: number, bytes: number) => void,
): Promise<void> {
  response.statusCode = 200;
  response.setHeader('content-type', contentType(ctx.accepted.format, true));
  response.setHeader('cache-control', 'no-cache, private');
  flushHeaders(response);
  let first = true;
  for await (const messages of batches) {
    const now = Date.now();
    const lines = messages.map((message) => {
      const bytes = eventBytes(message, { ...ctx, now }, first);
      first = false;
      return bytes;
    });
    if (response.destroyed || response.writableEnded) break;
    const bytes = lines.length === 1 ? lines[0]! : Buffer.concat(lines);
    sent?.(lines.length, bytes.length);
    const flowing = (response as ServerResponse).write(bytes);
    if (!flowing) await drained(response);
  }
  response.end();
}

/** Resolves once the response takes more, or never will. */
function drained(response: Response): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
    if (response.destroyed) done();
  });
}
