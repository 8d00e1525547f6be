/** Claims that are prepared on this node, on disk: for an agent that comes later. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { DraDevice } from '../../../rpc/dra.js';

export interface PreparedClaim {
  namespace: string;
  name: string;
  uid: string;
  /** UIDs of the pods that use it here. */
  pods: string[];
  /** What each driver has prepared; null: it was asked, and has not answered. */
  drivers: Record<string, DraDevice[] | null>;
}

export async function readClaims(file: string): Promise<PreparedClaim[]> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  return text === undefined ? [] : JSON.parse(text).claims;
}

export async function writeClaims(file: string, claims: PreparedClaim[]): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o750 });
  await writeFile(`${file}.new`, JSON.stringify({ claims }), { mode: 0o600 });
  await rename(`${file}.new`, file);
}
