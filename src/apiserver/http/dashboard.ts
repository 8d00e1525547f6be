/**
 * The dashboard's static files at `/ui/`. Anybody may load them: they hold nothing of the cluster, and what the page shows
 * it asks the API for with its user's token. Nothing else of the server is reached from here.
 */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { IncomingRequest } from './listener.js';
import type { Response } from './respond.js';

const BASE = '/ui/';
const INDEX = 'index.html';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

const HEADERS: Record<string, string> = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};

interface File {
  type: string;
  etag: string;
  /** For good: its name has a hash of what is in it. */
  immutable: boolean;
  body: Buffer;
  gzipped: Buffer;
}

/** Whether it was a request for the dashboard, and is answered. */
export type ServeDashboard = (request: IncomingRequest, response: Response) => boolean;

/**
 * Serves the files below `folder` as they are now; each is read when it is first asked for and kept. Paths are looked up
 * among the names found here and never joined with the folder: there is nothing else to reach. Without files, nothing is
 * served.
 */
export function openDashboard(folder: string): ServeDashboard {
  const names = namesIn(folder);
  const files = new Map<string, Promise<File>>();
  const load = (name: string): Promise<File> => {
    const file = files.get(name) ?? read(folder, name);
    files.set(name, file);
    return file;
  };
  return (request, response) => {
    const path = (request.url ?? '').split(/[?#]/, 1)[0]!;
    if (names.size === 0 || (path !== '/ui' && !path.startsWith(BASE))) return false;
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    if (path === '/ui') redirect(response);
    else if (request.method !== 'GET' && request.method !== 'HEAD') refuse(response, 405);
    else {
      const name = path.slice(BASE.length) || INDEX;
      if (!names.has(name)) refuse(response, 404);
      else
        load(name).then(
          (file) => send(request, response, file),
          () => refuse(response, 500),
        );
    }
    return true;
  };
}

function namesIn(folder: string): Set<string> {
  try {
    const entries = readdirSync(folder, { recursive: true }) as string[];
    return new Set(entries.filter((name) => TYPES[extname(name)] !== undefined));
  } catch {
    return new Set();
  }
}

async function read(folder: string, name: string): Promise<File> {
  const body = await readFile(join(folder, name));
  return {
    type: TYPES[extname(name)]!,
    etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`,
    immutable: name.startsWith('assets/'),
    body,
    gzipped: await promisify(gzip)(body, { level: 9 }),
  };
}

function send(request: IncomingRequest, response: Response, file: File): void {
  if (response.destroyed) return;
  response.setHeader('etag', file.etag);
  response.setHeader(
    'cache-control',
    file.immutable ? 'public, max-age=31536000, immutable' : 'no-cache, no-transform',
  );
  response.setHeader('vary', 'accept-encoding');
  if (request.headers['if-none-match'] === file.etag) {
    response.statusCode = 304;
    response.end();
    return;
  }
  const zip = /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
  const body = zip ? file.gzipped : file.body;
  if (zip) response.setHeader('content-encoding', 'gzip');
  response.setHeader('content-type', file.type);
  response.setHeader('content-length', body.length);
  response.statusCode = 200;
  if (request.method === 'HEAD') response.end();
  else response.end(body);
}

function redirect(response: Response): void {
  response.statusCode = 301;
  response.setHeader('location', BASE);
  response.end();
}

function refuse(response: Response, code: 404 | 405 | 500): void {
  if (response.destroyed) return;
  response.statusCode = code;
  response.setHeader('content-type', 'text/plain; charset=utf-8');
  if (code === 405) response.setHeader('allow', 'GET, HEAD');
  response.end(
    { 404: '404 page not found\n', 405: 'Method Not Allowed\n', 500: 'the file could not be read\n' }[code],
  );
}
