/** The OpenAPI documents of custom kinds, made when they are asked for and kept as long as the kinds stay as they are. */
import { createHash } from 'node:crypto';
import { customOpenApi } from '../../api/extensions/openapi.js';
import type { Resource } from '../../api/resources/define.js';

export interface Document {
  body: Buffer;
  /** SHA-512 in upper case. */
  hash: string;
}

/** Gives the document of built-in kinds, such as `v3/apis/apps/v1.json`, as JSON. */
export type ReadBuiltIn = (name: string) => Promise<any>;

/** The newest document of each group version. */
const documents = new Map<string, { id: string; document: Document }>();
let shared: Record<string, object> | undefined;

/** Changes whenever the documents of these kinds do. */
export const idOf = (resources: readonly Resource[]): string =>
  resources.map((r) => `${r.apiVersion}/${r.plural} ${r.custom!.definition.id}`).join();

export function hashed(body: Buffer): Document {
  return { body, hash: createHash('sha512').update(body).digest('hex').toUpperCase() };
}

/** The resources of each group version by its path in the index: `apis/stable.example.com/v1`. */
export function groupVersions(resources: readonly Resource[]): Map<string, Resource[]> {
  const found = new Map<string, Resource[]>();
  for (const resource of resources) {
    const path = `apis/${resource.apiVersion}`;
    found.set(path, [...(found.get(path) ?? []), resource]);
  }
  return found;
}

/** The document of one group version. */
export async function documentV3(
  path: string,
  resources: readonly Resource[],
  read: ReadBuiltIn,
): Promise<Document> {
  const id = idOf(resources);
  const kept = documents.get(path);
  if (kept?.id === id) return kept.document;
  const { paths, schemas } = customOpenApi(resources, 'v3');
  const base = await read('v3/apis/autoscaling/v1.json');
  shared ??= sharedSchemas(base.components.schemas);
  const document = hashed(
    Buffer.from(
      JSON.stringify({
        ...base,
        paths,
        components: { ...base.components, schemas: { ...shared, ...schemas } },
      }),
    ),
  );
  documents.set(path, { id, document });
  return document;
}

/** By the document in JSON. */
const encodings = new WeakMap<Document, Document>();

/** A document of version 3 as client-go asks for it. */
export async function inProtobuf(document: Document): Promise<Document> {
  const kept = encodings.get(document);
  if (kept) return kept;
  const { encodeOpenApiV3 } = await import('../../api/schema/openapi/gnostic-v3.js');
  const encoded = hashed(Buffer.from(encodeOpenApiV3(JSON.parse(document.body.toString()))));
  encodings.set(document, encoded);
  return encoded;
}

/** The definitions that those of custom kinds refer to: metadata, options, patches and scales. */
function sharedSchemas(schemas: Record<string, object>): Record<string, object> {
  const wanted = /^io\.k8s\.apimachinery\.|^io\.k8s\.api\.autoscaling\.v1\.Scale/;
  return Object.fromEntries(Object.entries(schemas).filter(([name]) => wanted.test(name)));
}

/** What custom kinds add to the one document of version 2. */
export function additionsV2(resources: readonly Resource[]): { paths: object; definitions: object } {
  const { paths, schemas } = customOpenApi(resources, 'v2');
  return { paths, definitions: schemas };
}
