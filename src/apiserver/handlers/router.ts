/** From a parsed request to its handler. */
import { methodNotAllowed, StatusError } from '../../api/machinery/status.js';
import { conditionIs } from '../../api/resources/apiextensions/custom-resource-definition.js';
import type { Resource, Verb } from '../../api/resources/define.js';
import { findResource } from '../../api/resources/index.js';
import type { Store } from '../../store/store.js';
import type { Context, Result } from '../context.js';
import { findCustomResource } from '../extensions/definitions.js';
import type { RequestInfo } from '../filters/request-info.js';
import { servedHere } from '../nonresource/discovery.js';
import { findReview } from '../reviews/index.js';
import { subresources } from '../subresources/index.js';
import { findVirtual } from '../virtual/index.js';
import { createObject } from './create.js';
import { deleteObject } from './delete.js';
import { deleteCollection } from './delete-collection.js';
import { getObject } from './get.js';
import { listObjects } from './list.js';
import { patchObject } from './patch.js';
import { updateObject } from './update.js';
import { watchObjects } from './watch.js';

type Handler = (ctx: Context) => Result | Promise<Result>;

const VERBS: Record<Verb, Handler> = {
  create: createObject,
  delete: deleteObject,
  deletecollection: deleteCollection,
  get: getObject,
  list: listObjects,
  patch: patchObject,
  update: updateObject,
  watch: watchObjects,
};

/** On a name; the others are for collections. */
const NAMED = new Set(['get', 'update', 'patch', 'delete']);

export const noSuchResource = () =>
  new StatusError(404, 'NotFound', 'the server could not find the requested resource', {});

const noSuchMethod = () =>
  methodNotAllowed('the server does not allow this method on the requested resource');

export interface Route {
  resource: Resource;
  handler: Handler;
}

let builtIn: Set<string> | undefined;

/** Whether the server has the group version, or a custom kind of it: nothing else is a resource at all. */
export function isServed({ group, version, resource }: RequestInfo, store: Store): boolean {
  builtIn ??= new Set(servedHere().map((one) => `${one.group}/${one.version}`));
  return (
    builtIn.has(`${group}/${version}`) || findCustomResource(store, group, version, resource) !== undefined
  );
}

/** Throws 404 and 405 as upstream words them. */
export function route(info: RequestInfo, store: Store): Route {
  const { group, version, resource: plural } = info;
  const resource = findResource(group, version, plural) ?? findCustomResource(store, group, version, plural);
  if (resource === undefined) return routeVirtual(info) ?? routeReview(info);
  const ofNamespace = info.namespace !== '' && resource.plural !== 'namespaces';
  if (ofNamespace && !resource.namespaced) throw noSuchResource();
  if (info.subresource !== '') {
    const declared = resource.subresources.find((s) => s.name === info.subresource);
    if (declared === undefined) throw noSuchResource();
    const handler = subresources(resource, info.subresource)?.[info.verb];
    if (handler === undefined) throw noSuchMethod();
    return { resource, handler };
  }
  if (!resource.verbs.includes(info.verb as Verb)) throw noSuchMethod();
  if (info.verb === 'create') refuseTerminating(resource);
  const named = info.name !== '' && info.verb !== 'list' && info.verb !== 'watch';
  if (named !== NAMED.has(info.verb)) throw noSuchMethod();
  if (resource.namespaced && info.namespace === '' && (NAMED.has(info.verb) || info.verb === 'create'))
    throw info.verb === 'create' ? noSuchMethod() : noSuchResource();
  return { resource, handler: VERBS[info.verb as Verb] };
}

/** Nothing new of a kind that is about to go. */
function refuseTerminating({ custom }: Resource): void {
  if (custom && conditionIs(custom.definition.crd, 'Terminating', 'True'))
    throw methodNotAllowed('create not allowed while custom resource definition is terminating');
}

/** Kinds that are read, and made when they are read. */
function routeVirtual(info: RequestInfo): Route | undefined {
  const virtual = findVirtual(info.group, info.version, info.resource);
  if (virtual === undefined) return undefined;
  const { resource, handlers } = virtual;
  if (info.subresource !== '' || (info.namespace !== '' && !resource.namespaced)) throw noSuchResource();
  const handler = handlers[info.verb as 'get' | 'list'];
  if (handler === undefined) throw noSuchMethod();
  if (info.verb === 'get' && resource.namespaced && info.namespace === '') throw noSuchResource();
  return { resource, handler };
}

function routeReview(info: RequestInfo): Route {
  const review = findReview(info.group, info.version, info.resource);
  if (review === undefined || info.name !== '' || review.resource.namespaced !== (info.namespace !== ''))
    throw noSuchResource();
  if (info.verb !== 'create') throw noSuchMethod();
  return review;
}
