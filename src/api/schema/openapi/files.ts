/** Reads the OpenAPI documents that the build wrote: an index in memory, the documents on disk. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** One document in one form. */
export interface OpenApiFile {
  /** Absolute path of the document. */
  path: string;
  /** Absolute path of the same, compressed with gzip. */
  gzipPath: string;
  contentType: string;
  /** Quoted, for `ETag` and `If-None-Match`. */
  etag: string;
  bytes: number;
}

/** What stands in `index.json`. */
export interface OpenApiIndex {
  /** By name: `v2.json`, `v2.pb`, `v3/apis/apps/v1.json`. */
  files: Record<string, { contentType: string; hash: string; bytes: number }>;
  /** The names of the v3 documents, such as `apis/apps/v1`, with their hashes. */
  v3: Record<string, string>;
}

export interface OpenApiFiles {
  /** The v2 document as JSON, and as protobuf for `application/com.github.proto-openapi.spec.v2.v1.0+protobuf`. */
  v2: OpenApiFile;
  v2Protobuf: OpenApiFile;
  /** The body of `/openapi/v3`. */
  v3Index: { paths: Record<string, { serverRelativeURL: string }> };
  /** The document of `/openapi/v3/<name>`; undefined when there is none. */
  v3(name: string): OpenApiFile | undefined;
  /** The hash that the index gives a v3 document; a request with it in its query may be cached for ever. */
  v3Hash(name: string): string | undefined;
}

/** Where the build writes to. */
export const openApiDirectory = fileURLToPath(new URL('../../../../generated/openapi/', import.meta.url));

/** Opens the documents of `dir`. Throws when they were not built. */
export function openApiFiles(dir = openApiDirectory): OpenApiFiles {
  const index = JSON.parse(readFileSync(join(dir, 'index.json'), 'utf8')) as OpenApiIndex;
  const file = (name: string): OpenApiFile | undefined => {
    const entry = Object.hasOwn(index.files, name) ? index.files[name] : undefined;
    if (!entry) return undefined;
    const path = join(dir, name);
    const { contentType, hash, bytes } = entry;
    return { path, gzipPath: `${path}.gz`, contentType, etag: `"${hash}"`, bytes };
  };
  const paths: Record<string, { serverRelativeURL: string }> = {};
  for (const [name, hash] of Object.entries(index.v3))
    paths[name] = { serverRelativeURL: `/openapi/v3/${name}?hash=${hash}` };
  return {
    v2: file('v2.json') as OpenApiFile,
    v2Protobuf: file('v2.pb') as OpenApiFile,
    v3Index: { paths },
    v3: (name) => file(`v3/${name}.json`),
    v3Hash: (name) => index.v3[name],
  };
}
