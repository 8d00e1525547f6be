/** ADD of an address: the file that it leads to. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { posix } from 'node:path';
import { HttpClient } from '../../runtime/images/registry/http.js';

export const isAddress = (path: string): boolean => /^https?:\/\//.test(path);

/** A repository, which Docker would clone. */
export const isRepository = (path: string): boolean =>
  /^(git|ssh):\/\/|^git@/.test(path) || /^https?:\/\/[^?#]+\.git(#|$)/.test(path);

export interface RemoteFile {
  /** Empty when the address tells none. */
  name: string;
  /** Whole seconds; 0 when the server does not say. */
  mtime: number;
}

/** Writes it to `path`. `checksum`: `sha256:…`. @throws Error that says what is wrong. */
export async function download(
  address: string,
  path: string,
  checksum: string | undefined,
  signal: AbortSignal,
): Promise<RemoteFile> {
  const client = new HttpClient();
  try {
    const endpoint = { base: address, insecure: false, ca: undefined, auth: undefined };
    const { status, headers, body, url } = await client.getPatiently(endpoint, address, {
      headers: {},
      signal,
    });
    if (status !== 200) {
      body.on('error', () => {}).destroy();
      throw new Error(`invalid response status ${status} of ${address}`);
    }
    const hash = createHash('sha256');
    const file = await open(path, 'wx', 0o600);
    try {
      for await (const chunk of body as AsyncIterable<Buffer>) {
        hash.update(chunk);
        await file.write(chunk);
      }
    } finally {
      await file.close();
    }
    const digest = `sha256:${hash.digest('hex')}`;
    if (checksum && checksum !== digest) throw new Error(`digest mismatch ${digest}: ${checksum}`);
    const changed = Date.parse(String(headers['last-modified'] ?? ''));
    return {
      name: nameOf(String(headers['content-disposition'] ?? ''), url),
      mtime: Number.isNaN(changed) ? 0 : Math.floor(changed / 1000),
    };
  } finally {
    await client.close();
  }
}

/** As the server calls it, else the last part of its address. */
export function nameOf(disposition: string, url: string): string {
  const [, quoted, plain] = /;\s*filename=(?:"([^"]*)"|([^;\s]+))/i.exec(disposition) ?? [];
  const told = posix.basename(quoted ?? plain ?? '');
  const last = url.endsWith('/') ? '' : posix.basename(decodeURIComponent(new URL(url).pathname));
  const name = told || last;
  return ['.', '..', '/'].includes(name) ? '' : name;
}
