/** The machine's own log files: /var/log, and nothing outside of it. */
import { createReadStream } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Call, notHere } from './answers.js';

const ROOT = '/var/log';

/** A file's text, or a folder as links. What a link leads to outside of /var/log does not exist here. */
export async function logFile(call: Call): Promise<void> {
  const { rest, response, request } = call;
  const root = await realpath(ROOT).catch(() => ROOT);
  const path = rest.includes('\0') ? undefined : await realpath(join(root, rest)).catch(() => undefined);
  if (path === undefined || (path !== root && !path.startsWith(`${root}/`))) return notHere(call);
  const found = await stat(path);
  if (found.isDirectory()) {
    const entries = (await readdir(path, { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1));
    const lines = entries.map((entry) => link(entry.isDirectory() ? `${entry.name}/` : entry.name));
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
    response.end(
      `<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n${lines.join('')}</pre>\n`,
    );
    return;
  }
  if (!found.isFile()) return notHere(call);
  // A log that grows meanwhile ends where it did when it was asked for.
  response.writeHead(200, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': found.size,
    'last-modified': found.mtime.toUTCString(),
  });
  if (request.method === 'HEAD' || found.size === 0) response.end();
  else await pipeline(createReadStream(path, { end: found.size - 1 }), response);
}

function link(name: string): string {
  const shown = name.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return `<a href="${encodeURIComponent(name).replaceAll('%2F', '/')}">${shown}</a>\n`;
}
