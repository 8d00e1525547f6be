/**
 * /openapi/v2 and /openapi/v3: documents that the build makes, sent from disk, with validators for caching.
 * @see https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-interface-definition
 */
import { readFile } from 'node:fs/promises';
import type { Call, Result } from '../context.js';
import type { Aggregator } from '../extensions/aggregation/aggregator.js';
import { mediaRanges, notAcceptableFor } from '../http/media-types.js';

const FOLDER = new URL('../../../generated/openapi/', import.meta.url);
const JSON_TYPE = 'application/json';
const PROTO_V2 = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';
/** The form with the `@`, which is no media type, is what older clients ask for. */
const PROTO_V2_OLD = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';
const YEAR_SECONDS = 31_536_000;

/** `index.json` of the build. */
interface Index {
  files: Record<string, { contentType: string; hash: string; bytes: number }>;
  /** Paths below /openapi/v3 with the hashes of their documents. */
  v3: Record<string, string>;
}

let index: Promise<Index> | undefined;

const readIndex = (): Promise<Index> =>
  readFile(new URL('index.json', FOLDER), 'utf8').then((text) => JSON.parse(text) as Index);

/** Undefined for paths that are not of OpenAPI, or of no document. */
export async function openapi(path: string, call: Call, remote?: Aggregator): Promise<Result | undefined> {
  if (path !== '/openapi/v2' && path !== '/openapi/v3' && !path.startsWith('/openapi/v3/')) return undefined;
  index ??= readIndex();
  const known = await index.catch((error) => {
    index = undefined;
    throw error;
  });
  if (path === '/openapi/v2') return documentV2(call, known);
  if (path === '/openapi/v3') return listV3(call, known, remote);
  return documentV3(path.slice('/openapi/v3/'.length), call, known);
}

/** The first of `offered` that the client accepts. Throws 406. */
function choose(call: Call, offered: string[]): string {
  for (const { type } of mediaRanges(call.header('accept') || '*/*')) {
    const wanted = type === PROTO_V2_OLD ? PROTO_V2 : type;
    const found =
      wanted === '*/*' || wanted === 'application/*' ? offered[0] : offered.find((o) => o === wanted);
    if (found) return found;
  }
  throw notAcceptableFor(offered);
}

function documentV2(call: Call, known: Index): Promise<Result> {
  const type = choose(call, [JSON_TYPE, PROTO_V2]);
  return file(type === JSON_TYPE ? 'v2.json' : 'v2.pb', call, known);
}

function listV3(call: Call, { v3 }: Index, remote: Aggregator | undefined): Result {
  choose(call, [JSON_TYPE]);
  const paths = Object.fromEntries(
    Object.entries(v3).map(([path, hash]) => [
      path,
      { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` },
    ]),
  );
  for (const { openapi: others } of remote?.versions ?? []) Object.assign(paths, others);
  return { type: 'raw', code: 200, headers: { 'content-type': JSON_TYPE }, body: JSON.stringify({ paths }) };
}

async function documentV3(path: string, call: Call, known: Index): Promise<Result | undefined> {
  const hash = known.v3[path];
  if (hash === undefined) return undefined;
  choose(call, [JSON_TYPE]);
  const asked = call.query.get('hash');
  if (asked !== null && asked !== hash)
    return { type: 'raw', code: 301, headers: { location: `/openapi/v3/${path}?hash=${hash}` }, body: '' };
  const caching: Record<string, string> =
    asked === null
      ? {}
      : {
          'cache-control': 'public, immutable',
          expires: new Date(Date.now() + YEAR_SECONDS * 1000).toUTCString(),
        };
  return file(`v3/${path}.json`, call, known, caching);
}

async function file(
  name: string,
  call: Call,
  { files }: Index,
  extra: Record<string, string> = {},
): Promise<Result> {
  const { hash, contentType } = files[name]!;
  const etag = `"${hash}"`;
  const headers: Record<string, string> = {
    'content-type': contentType,
    etag,
    vary: 'Accept, Accept-Encoding',
    ...extra,
  };
  if (call.header('if-none-match') === etag) return { type: 'raw', code: 304, headers, body: '' };
  const gzip = /\bgzip\b/.test(call.header('accept-encoding') ?? '');
  const body = await readFile(new URL(gzip ? `${name}.gz` : name, FOLDER));
  if (gzip) headers['content-encoding'] = 'gzip';
  return { type: 'raw', code: 200, headers, body };
}
