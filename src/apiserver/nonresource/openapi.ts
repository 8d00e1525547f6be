/**
 * /openapi/v2 and /openapi/v3: documents that the build makes, sent from disk, with validators for caching.
 * @see https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-interface-definition
 */
import { readFile } from 'node:fs/promises';
import type { Resource } from '../../api/resources/define.js';
import type { Store } from '../../store/store.js';
import type { Call, Result } from '../context.js';
import type { Aggregator } from '../extensions/aggregation/aggregator.js';
import { mergeParts, type PartV2 } from '../extensions/aggregation/openapi-v2.js';
import { listCustomResources } from '../extensions/definitions.js';
import {
  additionsV2,
  documentV3 as customV3,
  type Document,
  groupVersions,
  hashed,
  idOf,
  inProtobuf,
} from '../extensions/openapi.js';
import { mediaRanges, notAcceptableFor } from '../http/media-types.js';

const FOLDER = new URL('../../../generated/openapi/', import.meta.url);
const JSON_TYPE = 'application/json';
const PROTO_V2 = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';
const PROTO_V3 = 'application/com.github.proto-openapi.spec.v3.v1.0+protobuf';
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
export async function openapi(
  path: string,
  call: Call,
  store: Store,
  remote?: Aggregator,
): Promise<Result | undefined> {
  if (path !== '/openapi/v2' && path !== '/openapi/v3' && !path.startsWith('/openapi/v3/')) return undefined;
  index ??= readIndex();
  const known = await index.catch((error) => {
    index = undefined;
    throw error;
  });
  const custom = await listCustomResources(store);
  if (path === '/openapi/v2')
    return documentV2(
      call,
      known,
      custom,
      (remote?.versions ?? []).map(({ openapiV2 }) => openapiV2).filter(({ id }) => id !== ''),
    );
  const versions = groupVersions(custom);
  if (path === '/openapi/v3') return listV3(call, known, versions, remote);
  return documentV3(path.slice('/openapi/v3/'.length), call, known, versions);
}

const readBuiltIn = async (name: string): Promise<any> =>
  JSON.parse(await readFile(new URL(name, FOLDER), 'utf8'));

/** The first of `offered` that the client accepts. Throws 406. */
function choose(call: Call, offered: string[]): string {
  for (const { type } of mediaRanges(call.header('accept') || '*/*')) {
    // The form with the `@`, which is no media type, is what older clients ask for.
    const wanted = type.replace('@v1.0', '.v1.0');
    const found =
      wanted === '*/*' || wanted === 'application/*' ? offered[0] : offered.find((o) => o === wanted);
    if (found) return found;
  }
  throw notAcceptableFor(offered);
}

async function documentV2(call: Call, known: Index, custom: Resource[], remote: PartV2[]): Promise<Result> {
  const type = choose(call, [JSON_TYPE, PROTO_V2]);
  const name = type === JSON_TYPE ? 'v2.json' : 'v2.pb';
  if (custom.length === 0 && remote.length === 0) return file(name, call, known);
  return send(await mergedV2(name, custom, remote), type, call);
}

/** The newest documents of version 2 with custom kinds and those of other servers in them. */
const merged = new Map<string, { id: string; document: Document }>();

async function mergedV2(name: string, custom: Resource[], remote: PartV2[]): Promise<Document> {
  const id = [idOf(custom), ...remote.map((part) => part.id)].join();
  const kept = merged.get(name);
  if (kept?.id === id) return kept.document;
  const additions = await additionsOf(custom, remote);
  const document = hashed(name === 'v2.json' ? await mergedJson(additions) : await mergedProto(additions));
  merged.set(name, { id, document });
  return document;
}

async function additionsOf(custom: Resource[], remote: PartV2[]): Promise<ReturnType<typeof additionsV2>> {
  const own = additionsV2(custom);
  if (remote.length === 0) return own;
  const base = await readBuiltIn('v2.json');
  const others = mergeParts({ ...base.definitions, ...own.definitions }, remote);
  return {
    paths: { ...others.paths, ...own.paths },
    definitions: { ...own.definitions, ...others.definitions },
  };
}

async function mergedJson({ paths, definitions }: ReturnType<typeof additionsV2>): Promise<Buffer> {
  const base = await readBuiltIn('v2.json');
  const document = {
    ...base,
    paths: { ...base.paths, ...paths },
    definitions: { ...base.definitions, ...definitions },
  };
  return Buffer.from(JSON.stringify(document));
}

/** Protobuf messages that follow each other are one message with the fields of all. */
async function mergedProto(additions: ReturnType<typeof additionsV2>): Promise<Buffer> {
  const { encodeOpenApiV2 } = await import('../../api/schema/openapi/gnostic-v2.js');
  return Buffer.concat([await readFile(new URL('v2.pb', FOLDER)), encodeOpenApiV2(additions)]);
}

async function listV3(
  call: Call,
  { v3 }: Index,
  custom: Map<string, Resource[]>,
  remote: Aggregator | undefined,
): Promise<Result> {
  choose(call, [JSON_TYPE]);
  const hashes: [string, string][] = Object.entries(v3);
  for (const [path, resources] of custom)
    hashes.push([path, (await customV3(path, resources, readBuiltIn)).hash]);
  const paths = Object.fromEntries(
    hashes.map(([path, hash]) => [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` }]),
  );
  for (const { openapi: others } of remote?.versions ?? []) Object.assign(paths, others);
  return { type: 'raw', code: 200, headers: { 'content-type': JSON_TYPE }, body: JSON.stringify({ paths }) };
}

async function documentV3(
  path: string,
  call: Call,
  known: Index,
  custom: Map<string, Resource[]>,
): Promise<Result | undefined> {
  const resources = custom.get(path);
  const own =
    resources && known.v3[path] === undefined ? await customV3(path, resources, readBuiltIn) : undefined;
  const hash = own?.hash ?? known.v3[path];
  if (hash === undefined) return undefined;
  const type = choose(call, [JSON_TYPE, PROTO_V3]);
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
  const extension = type === JSON_TYPE ? 'json' : 'pb';
  if (!own) return file(`v3/${path}.${extension}`, call, known, caching);
  return send(type === JSON_TYPE ? own : await inProtobuf(own), type, call, caching);
}

function send(
  { body, hash }: Document,
  contentType: string,
  call: Call,
  extra: Record<string, string> = {},
): Result {
  const etag = `"${hash}"`;
  const headers = { 'content-type': contentType, etag, vary: 'Accept, Accept-Encoding', ...extra };
  if (call.header('if-none-match') === etag) return { type: 'raw', code: 304, headers, body: '' };
  return { type: 'raw', code: 200, headers, body };
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
