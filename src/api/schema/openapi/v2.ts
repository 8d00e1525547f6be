/** The OpenAPI v2 document: one for all that the server serves. */
import type { Resource } from '../../resources/define.js';
import { byPath, groupVersions, patchMediaOf, producedBy, responsesOf, TITLE } from './common.js';
import { Definitions, type Descriptions, type Json, type References } from './definitions.js';
import type { Operation } from './operation.js';
import { operationsOf } from './operations.js';
import { parameterV2, pathParameters, queryParameters } from './parameters.js';

function operationJson(operation: Operation, definitions: References, docs: Descriptions): Json {
  const body = operation.body
    ? [
        {
          in: 'body',
          name: 'body',
          required: operation.method !== 'delete',
          schema: definitions.reference(operation.body),
        },
      ]
    : [];
  const schema = operation.response ? definitions.reference(operation.response) : { type: 'string' };
  return {
    consumes:
      operation.method === 'patch' && operation.action === 'patch' ? patchMediaOf(operation) : ['*/*'],
    ...(operation.deprecated ? { deprecated: true } : {}),
    description: operation.description,
    operationId: operation.id,
    parameters: [...body, ...queryParameters(operation, docs).map(parameterV2)],
    produces: producedBy(operation),
    responses: responsesOf(operation, { schema }),
    schemes: ['https'],
    tags: [operation.tag],
    'x-kubernetes-action': operation.action,
    'x-kubernetes-group-version-kind': operation.kind,
  };
}

/** Builds the document; `types` are the types whose definitions are in it whether served or not. */
export function openApiV2(
  resources: readonly Resource[],
  types: readonly string[],
  docs: Descriptions,
  version: string,
): Json {
  const definitions = new Definitions('v2', docs, groupVersions(resources));
  for (const type of types) definitions.reference(type);
  return {
    swagger: '2.0',
    info: { title: TITLE, version },
    paths: pathsV2(resources, definitions, docs),
    definitions: sorted(definitions.schemas),
    securityDefinitions: {
      BearerToken: {
        description: 'Bearer Token authentication',
        type: 'apiKey',
        name: 'authorization',
        in: 'header',
      },
    },
    security: [{ BearerToken: [] }],
  };
}

/** The operations of resources by their paths. */
export function pathsV2(resources: readonly Resource[], definitions: References, docs: Descriptions): Json {
  const paths: Json = {};
  for (const [path, methods] of byPath(resources.flatMap(operationsOf))) {
    const item: Json = {};
    for (const [method, operation] of methods) item[method] = operationJson(operation, definitions, docs);
    const [first] = methods.values();
    item['parameters'] = pathParameters(first as Operation, docs).map(parameterV2);
    paths[path] = item;
  }
  return paths;
}

export const sorted = (schemas: Record<string, Json>): Record<string, Json> =>
  Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1)));
