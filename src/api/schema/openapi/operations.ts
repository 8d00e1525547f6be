/** Every operation that the API serves on a resource, in a form that both versions of OpenAPI are made from. */
import type { Resource, Verb } from '../../resources/define.js';
import { typeNameOf } from '../groups.js';
import { type Operation, operation, PATCH, type Place, placeOf, WRITE } from './operation.js';
import { subresourceOperations } from './subresource-operations.js';

const LIST = [
  'allowWatchBookmarks',
  'continue',
  'fieldSelector',
  'labelSelector',
  'limit',
  'resourceVersion',
  'resourceVersionMatch',
  'sendInitialEvents',
  'shardSelector',
  'timeoutSeconds',
  'watch',
];
const DELETE = [
  'dryRun',
  'gracePeriodSeconds',
  'ignoreStoreReadErrorWithClusterBreakingPotential',
  'orphanDependents',
  'propagationPolicy',
];
const NOT_WITH_COLLECTION = new Set(['allowWatchBookmarks', 'watch']);

/** The operations of each verb on the resource itself. */
const VERBS: Record<Verb, (place: Place) => Operation[]> = {
  create: (p) => [
    operation(p, {
      path: p.collection,
      method: 'post',
      action: 'post',
      id: `create${p.words}${p.scope}${p.resource.kind}`,
      description: `create a ${p.resource.kind}`,
      query: WRITE,
      body: p.type,
      response: p.type,
      codes: [201, 202],
    }),
  ],
  list: (p) => [
    listOperation(p, p.collection, `list${p.words}${p.scope}${p.resource.kind}`),
    ...(p.resource.namespaced
      ? [
          listOperation(
            p,
            `${p.root}/${p.resource.plural}`,
            `list${p.words}${p.resource.kind}ForAllNamespaces`,
          ),
        ]
      : []),
  ],
  watch: watchOperations,
  get: (p) => [
    operation(p, {
      path: `${p.collection}/{name}`,
      method: 'get',
      action: 'get',
      id: `read${p.words}${p.scope}${p.resource.kind}`,
      description: `read the specified ${p.resource.kind}`,
      response: p.type,
    }),
  ],
  update: (p) => [
    operation(p, {
      path: `${p.collection}/{name}`,
      method: 'put',
      action: 'put',
      id: `replace${p.words}${p.scope}${p.resource.kind}`,
      description: `replace the specified ${p.resource.kind}`,
      query: WRITE,
      body: p.type,
      response: p.type,
      codes: [201],
    }),
  ],
  patch: (p) => [
    operation(p, {
      path: `${p.collection}/{name}`,
      method: 'patch',
      action: 'patch',
      id: `patch${p.words}${p.scope}${p.resource.kind}`,
      description: `partially update the specified ${p.resource.kind}`,
      query: PATCH,
      body: 'meta/v1.Patch',
      response: p.type,
      codes: [201],
    }),
  ],
  delete: (p) => [
    operation(p, {
      path: `${p.collection}/{name}`,
      method: 'delete',
      action: 'delete',
      id: `delete${p.words}${p.scope}${p.resource.kind}`,
      description: `delete a ${p.resource.kind}`,
      query: DELETE,
      body: 'meta/v1.DeleteOptions',
      response: 'meta/v1.Status',
      codes: [202],
    }),
  ],
  deletecollection: (p) => [
    operation(p, {
      path: p.collection,
      method: 'delete',
      action: 'deletecollection',
      id: `delete${p.words}Collection${p.scope}${p.resource.kind}`,
      description: `delete collection of ${p.resource.kind}`,
      query: [...LIST.filter((name) => !NOT_WITH_COLLECTION.has(name)), ...DELETE].sort(),
      body: 'meta/v1.DeleteOptions',
      response: 'meta/v1.Status',
    }),
  ],
};

function listOperation(p: Place, path: string, id: string): Operation {
  return operation(p, {
    path,
    method: 'get',
    action: 'list',
    id,
    description: `list or watch objects of kind ${p.resource.kind}`,
    query: LIST,
    response: typeNameOf(p.resource.apiVersion, p.resource.listKind),
    stream: true,
  });
}

function watchOperations(p: Place): Operation[] {
  const { kind, plural, namespaced } = p.resource;
  const watched = p.collection.replace(p.root, `${p.root}/watch`);
  const one = (path: string, id: string, action: string, what: string) =>
    operation(p, {
      path,
      method: 'get',
      action,
      id,
      description: `watch ${what} of kind ${kind}. deprecated: use the 'watch' parameter with a list operation instead.`,
      query: LIST,
      response: 'meta/v1.WatchEvent',
      stream: true,
      deprecated: true,
    });
  return [
    one(watched, `watch${p.words}${p.scope}${kind}List`, 'watchlist', 'individual changes to a list'),
    one(`${watched}/{name}`, `watch${p.words}${p.scope}${kind}`, 'watch', 'changes to an object'),
    ...(namespaced
      ? [
          one(
            `${p.root}/watch/${plural}`,
            `watch${p.words}${kind}ListForAllNamespaces`,
            'watchlist',
            'individual changes to a list',
          ),
        ]
      : []),
  ];
}

/** All operations of a resource and its subresources. */
export function operationsOf(resource: Resource): Operation[] {
  const place = placeOf(resource);
  return [
    ...resource.verbs.flatMap((verb) => VERBS[verb](place)),
    ...resource.subresources.flatMap((sub) => subresourceOperations(place, sub)),
  ];
}
