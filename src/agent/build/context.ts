/** What COPY and ADD take from: the build's context, a stage, or an image. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import ignore from '@balena/dockerignore';
import { UnionView } from '../../runtime/images/union.js';

export interface CopySource {
  view: UnionView;
  /** Its folders, lowest first. */
  layers: string[];
  /** Tells all that it was made of; undefined where the files themselves have to be looked at. */
  key: string | undefined;
  /** Some of it may be left out. */
  isFiltered: boolean;
  /** Whether .dockerignore leaves it out; paths are relative. */
  ignores(path: string): boolean;
  /** Something in a folder that is left out may be taken nevertheless. */
  hasExceptions: boolean;
  /** Owners and attributes are those of the files; else all is root's. */
  keepsOwners: boolean;
  /** Names it in errors. */
  name: string;
}

/** `dockerfile`: its path; `<dockerfile>.dockerignore` counts before the context's own. */
export async function contextSource(folder: string, dockerfile: string): Promise<CopySource> {
  const text =
    (await readIf(`${dockerfile}.dockerignore`)) ?? (await readIf(join(folder, '.dockerignore'))) ?? '';
  const rules = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line && !line.startsWith('#'))
    .map((line) => line.replace(/^(!?)\s*\/+/, '$1'));
  const filter = ignore.default().add(rules);
  return {
    view: new UnionView([folder]),
    layers: [folder],
    key: undefined,
    isFiltered: rules.length > 0,
    ignores: (path) => rules.length > 0 && filter.ignores(path),
    hasExceptions: rules.some((rule) => rule.startsWith('!')),
    keepsOwners: false,
    name: 'the build context',
  };
}

export const layersSource = (layers: string[], key: string, name: string): CopySource => ({
  view: new UnionView(layers),
  layers,
  key,
  isFiltered: false,
  ignores: () => false,
  hasExceptions: false,
  keepsOwners: true,
  name,
});

function readIf(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}
