/**
 * All OpenAPI documents as bytes. The build writes them to `dist/generated/openapi/`, each with a `.gz` beside it,
 * and an `index.json` with their types, hashes and sizes, so that the server holds none of them in memory.
 */
import type { Resource } from '../../resources/define.js';
import { typeFact, typeNames } from '../facts.js';
import type { Descriptions } from './definitions.js';
import { encodeOpenApiV2 } from './gnostic-v2.js';
import { encodeOpenApiV3 } from './gnostic-v3.js';
import { openApiV2 } from './v2.js';
import { openApiV3 } from './v3.js';

export interface BuiltFile {
  contentType: string;
  content: Uint8Array;
}

/** Types of their own on the wire that are no part of the published API. */
const UNPUBLISHED =
  /^(admission|apidiscovery)\/|^apiextensions\/v1\.Conversion(Request|Response|Review)$|Options$|^core\/v1\.(PodStatusResult|RangeAllocation|SerializedReference)$/;

/** The kinds, their lists, and what else is sent as a whole. */
export function publishedTypes(): string[] {
  return typeNames().filter((name) => {
    if (name.startsWith('meta/'))
      return [
        'DeleteOptions',
        'Status',
        'WatchEvent',
        'Patch',
        'APIGroup',
        'APIGroupList',
        'APIResourceList',
        'APIVersions',
      ].includes(name.slice(8));
    return (
      !UNPUBLISHED.test(name) &&
      typeFact(name)?.inline?.some(({ type }) => type === 'meta/v1.TypeMeta') === true
    );
  });
}

/** The documents by file name: `v2.json`, `v2.pb`, and `v3/<name>.json` and `.pb` for each group version. */
export function buildOpenApi(
  resources: readonly Resource[],
  docs: Descriptions,
  version: string,
): Record<string, BuiltFile> {
  const types = publishedTypes();
  const v2 = openApiV2(resources, types, docs, version);
  const json = (document: unknown): BuiltFile => ({
    contentType: 'application/json',
    content: Buffer.from(JSON.stringify(document)),
  });
  const files: Record<string, BuiltFile> = {
    'v2.json': json(v2),
    'v2.pb': {
      contentType: 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf',
      content: encodeOpenApiV2(v2),
    },
  };
  for (const [name, document] of Object.entries(openApiV3(resources, types, docs, version))) {
    files[`v3/${name}.json`] = json(document);
    files[`v3/${name}.pb`] = {
      contentType: 'application/com.github.proto-openapi.spec.v3.v1.0+protobuf',
      content: encodeOpenApiV3(document),
    };
  }
  return files;
}
