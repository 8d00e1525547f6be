/** The OpenAPI v3 documents: one for each group version. */
import type { Resource } from '../../resources/define.js';
import { belongsTo, byPath, groupVersions, patchMediaOf, producedBy, responsesOf, TITLE } from './common.js';
import { Definitions, type Descriptions, type Json, type References } from './definitions.js';
import { groupVersionPath } from './names.js';
import type { Operation } from './operation.js';
import { operationsOf } from './operations.js';
import { parameterV3, pathParameters, queryParameters } from './parameters.js';
import { sorted } from './v2.js';

const contentOf = (media: readonly string[], schema: Json): Json =>
  Object.fromEntries(media.map((type) => [type, { schema }]));

function operationJson(operation: Operation, definitions: References, docs: Descriptions): Json {
  const parameters = queryParameters(operation, docs).map(parameterV3);
  const schema = operation.response ? definitions.reference(operation.response) : { type: 'string' };
  return {
    tags: [operation.tag],
    description: operation.description,
    operationId: operation.id,
    ...(operation.deprecated ? { deprecated: true } : {}),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(operation.body ? { requestBody: requestBody(operation, definitions.reference(operation.body)) } : {}),
    responses: responsesOf(operation, { content: contentOf(producedBy(operation), schema) }),
    'x-kubernetes-action': operation.action,
    'x-kubernetes-group-version-kind': operation.kind,
  };
}

function requestBody(operation: Operation, schema: Json): Json {
  const media = operation.method === 'patch' ? patchMediaOf(operation) : ['*/*'];
  return { content: contentOf(media, schema), ...(operation.method === 'delete' ? {} : { required: true }) };
}

/** The documents by their names in the index: `api/v1`, `apis/apps/v1`. */
export function openApiV3(
  resources: readonly Resource[],
  types: readonly string[],
  docs: Descriptions,
  version: string,
): Record<string, Json> {
  const served = groupVersions(resources);
  const documents: Record<string, Json> = {};
  for (const apiVersion of served) {
    const own = resources.filter((resource) => resource.apiVersion === apiVersion);
    const definitions = new Definitions('v3', docs, served);
    for (const type of types) if (belongsTo(type, apiVersion)) definitions.reference(type);
    documents[groupVersionPath(apiVersion)] = {
      openapi: '3.0.0',
      info: { title: TITLE, version },
      paths: pathsV3(own, definitions, docs),
      components: {
        schemas: sorted(definitions.schemas),
        securitySchemes: {
          BearerToken: {
            type: 'apiKey',
            description: 'Bearer Token authentication',
            name: 'authorization',
            in: 'header',
          },
        },
      },
    };
  }
  return documents;
}

/** The operations of resources by their paths. */
export function pathsV3(resources: readonly Resource[], definitions: References, docs: Descriptions): Json {
  const paths: Json = {};
  for (const [path, methods] of byPath(resources.flatMap(operationsOf))) {
    const [first] = methods.values();
    const item: Json = { parameters: pathParameters(first as Operation, docs).map(parameterV3) };
    for (const [method, operation] of methods) item[method] = operationJson(operation, definitions, docs);
    paths[path] = item;
  }
  return paths;
}
