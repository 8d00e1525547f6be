/** The typed client: one `ResourceClient` a resource, over any transport. */
import type { Status } from '#types';
import { deepFreeze, type KubeList, type KubeObject, type WatchEvent } from '../api/machinery/types.js';
import type { Resource } from '../api/resources/define.js';
import type { Request, Transport } from './transport.js';

/** What of a resource's declaration a client needs (`defaults` only tells the compiler the type). */
export type ResourceRef<T extends KubeObject = KubeObject> = Pick<
  Resource<T>,
  'group' | 'version' | 'plural' | 'kind' | 'namespaced' | 'apiVersion' | 'defaults'
>;

export interface Cancellable {
  signal?: AbortSignal;
}

export interface GetOptions extends Cancellable {
  resourceVersion?: string;
}

export interface Selection extends Cancellable {
  /** One namespace; all of them when absent or ''. */
  namespace?: string;
  /** In its text form: `app=web,tier!=db`. */
  labelSelector?: string;
  /** In its text form: `spec.nodeName=a`. */
  fieldSelector?: string;
  resourceVersion?: string;
}

export interface ListOptions extends Selection {
  limit?: number;
  /** The token of the page before. */
  continue?: string;
  resourceVersionMatch?: 'Exact' | 'NotOlderThan';
}

export interface WatchOptions extends Selection {
  allowWatchBookmarks?: boolean;
  /** After how long the server ends the watch. */
  timeoutSeconds?: number;
}

export interface WriteOptions extends Cancellable {
  dryRun?: boolean;
  fieldManager?: string;
  fieldValidation?: 'Ignore' | 'Warn' | 'Strict';
}

export interface PatchOptions extends WriteOptions {
  type: 'merge' | 'strategic' | 'json' | 'apply';
  subresource?: string;
  /** Only with `apply`. */
  force?: boolean;
}

export interface DeleteOptions extends Cancellable {
  gracePeriodSeconds?: number;
  propagationPolicy?: 'Orphan' | 'Background' | 'Foreground';
  preconditions?: { uid?: string; resourceVersion?: string };
  dryRun?: boolean;
}

const PATCH_TYPES: Record<PatchOptions['type'], string> = {
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml',
};

/** Makes `ResourceClient`s: `client.of(pods).get('default', 'web')`. */
export class Client {
  readonly #clients = new Map<string, ResourceClient<any>>();

  constructor(readonly transport: Transport) {}

  of<T extends KubeObject>(resource: ResourceRef<T>): ResourceClient<T> {
    const id = `${resource.apiVersion}/${resource.plural}`;
    let client = this.#clients.get(id);
    if (client === undefined) {
      client = new ResourceClient<T>(this.transport, resource);
      this.#clients.set(id, client);
    }
    return client;
  }

  close(): Promise<void> {
    return this.transport.close();
  }
}

/**
 * The verbs of one resource. `namespace` is '' for what is cluster-scoped. Objects that come back are
 * frozen; every method rejects with StatusError when the server refuses.
 */
export class ResourceClient<T extends KubeObject> {
  readonly #base: string;

  constructor(
    readonly transport: Transport,
    readonly resource: ResourceRef<T>,
  ) {
    this.#base = resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.apiVersion}`;
  }

  get(namespace: string, name: string, options: GetOptions = {}): Promise<T> {
    return this.#send('GET', this.path(namespace, name), query(options), options);
  }

  async list(options: ListOptions = {}): Promise<KubeList<T>> {
    const list = await this.#send<KubeList<T>>('GET', this.path(options.namespace), query(options), options);
    return this.#typed(list);
  }

  create(object: T, options: WriteOptions = {}): Promise<T> {
    return this.#send('POST', this.path(object.metadata.namespace), query(options), options, object);
  }

  update(object: T, options: WriteOptions & { subresource?: string } = {}): Promise<T> {
    const { namespace, name } = object.metadata;
    const path = this.path(namespace, name, options.subresource);
    return this.#send('PUT', path, query(options), options, object);
  }

  updateStatus(object: T, options: WriteOptions = {}): Promise<T> {
    return this.update(object, { ...options, subresource: 'status' });
  }

  patch(namespace: string, name: string, patch: unknown, options: PatchOptions): Promise<T> {
    return this.transport.request({
      method: 'PATCH',
      path: this.path(namespace, name, options.subresource),
      query: query(options),
      headers: { 'content-type': PATCH_TYPES[options.type] },
      body: patch,
      ...signalOf(options),
    });
  }

  /** Resolves with the object while it terminates, or with a Status once it is gone. */
  delete(namespace: string, name: string, options: DeleteOptions = {}): Promise<T | Status> {
    return this.#send(
      'DELETE',
      this.path(namespace, name),
      undefined,
      options,
      deleteBody(options),
    ) as Promise<T | Status>;
  }

  deleteCollection(options: DeleteOptions & Omit<ListOptions, 'continue'> = {}): Promise<KubeObject> {
    const { dryRun: _, ...selection } = options;
    const path = this.path(options.namespace);
    return this.#send<KubeObject>('DELETE', path, query(selection), options, deleteBody(options));
  }

  watch(options: WatchOptions = {}): AsyncIterable<WatchEvent<T>> {
    return this.transport.watch<T>({
      method: 'GET',
      path: this.path(options.namespace),
      query: { ...query(options), watch: 'true' },
      ...signalOf(options),
    });
  }

  getSubresource<S extends KubeObject = KubeObject>(
    namespace: string,
    name: string,
    subresource: string,
    options: Cancellable = {},
  ): Promise<S> {
    return this.#send<S>('GET', this.path(namespace, name, subresource), undefined, options);
  }

  /** Such as `binding`, `eviction`, `token`. */
  createSubresource<S extends KubeObject = KubeObject>(
    namespace: string,
    name: string,
    subresource: string,
    body: unknown,
    options: WriteOptions = {},
  ): Promise<S> {
    return this.#send<S>('POST', this.path(namespace, name, subresource), query(options), options, body);
  }

  /** Such as `scale`. */
  updateSubresource<S extends KubeObject = KubeObject>(
    namespace: string,
    name: string,
    subresource: string,
    body: unknown,
    options: WriteOptions = {},
  ): Promise<S> {
    return this.#send<S>('PUT', this.path(namespace, name, subresource), query(options), options, body);
  }

  /** The URL path of the collection, an object, or a subresource. */
  path(namespace?: string, name?: string, subresource?: string): string {
    const scope = this.resource.namespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : '';
    let path = `${this.#base}${scope}/${this.resource.plural}`;
    if (name !== undefined) path += `/${encodeURIComponent(name)}`;
    return subresource === undefined ? path : `${path}/${subresource}`;
  }

  #send<R extends KubeObject | KubeList<any> = T>(
    method: Request['method'],
    path: string,
    query: Record<string, string> | undefined,
    { signal }: Cancellable,
    body?: unknown,
  ): Promise<R> {
    const request: Request = { method, path };
    if (query !== undefined) request.query = query;
    if (body !== undefined) request.body = body;
    if (signal !== undefined) request.signal = signal;
    return this.transport.request<R>(request);
  }

  /** Upstream's lists leave out what is the same for all items: their apiVersion and kind. */
  #typed(list: KubeList<T>): KubeList<T> {
    if (list.items === undefined || list.items === null) return { ...list, items: [] };
    if (list.items.every((item) => item.kind !== undefined && item.apiVersion !== undefined)) return list;
    const { apiVersion, kind } = this.resource;
    return { ...list, items: list.items.map((item) => Object.freeze({ ...item, apiVersion, kind })) };
  }
}

const QUERY_FIELDS = [
  'labelSelector',
  'fieldSelector',
  'resourceVersion',
  'resourceVersionMatch',
  'limit',
  'continue',
  'allowWatchBookmarks',
  'timeoutSeconds',
  'fieldManager',
  'fieldValidation',
  'force',
] as const;

function query(
  options: ListOptions & WatchOptions & WriteOptions & { force?: boolean },
): Record<string, string> {
  const result: Record<string, string> = {};
  for (const field of QUERY_FIELDS) {
    const value = options[field];
    if (value !== undefined && value !== '') result[field] = String(value);
  }
  if (options.dryRun === true) result['dryRun'] = 'All';
  return result;
}

function signalOf({ signal }: Cancellable): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

function deleteBody(options: DeleteOptions): unknown {
  const { gracePeriodSeconds, propagationPolicy, preconditions, dryRun } = options;
  return deepFreeze({
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    ...(propagationPolicy === undefined ? {} : { propagationPolicy }),
    ...(preconditions === undefined ? {} : { preconditions: { ...preconditions } }),
    ...(dryRun === true ? { dryRun: ['All'] } : {}),
  });
}
