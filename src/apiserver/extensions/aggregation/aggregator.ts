/**
 * The aggregation layer: group versions that other servers serve are passed on to them.
 * @see https://kubernetes.io/docs/concepts/extend-kubernetes/api-extension/apiserver-aggregation/
 */
import type { Logger } from 'pino';
import type { APIService } from '#types';
import { type Clock, timestamp } from '../../../api/machinery/clock.js';
import { isReason } from '../../../api/machinery/status.js';
import { availableCondition } from '../../../api/resources/apiregistration/api-service.js';
import { apiServices } from '../../../api/resources/index.js';
import { Client } from '../../../client/client.js';
import { WorkQueue } from '../../../client/queue.js';
import type { Transport } from '../../../client/transport.js';
import { runWorkers } from '../../../client/workers.js';
import type { Call, Result } from '../../context.js';
import { follow } from '../../follow.js';
import { forward, type Route } from '../../proxy/forward.js';
import type { Reach } from '../../proxy/targets.js';
import { checkAvailability, type Verdict } from './availability.js';
import { type DiscoveredResource, discover, openapiPaths, openapiV2 } from './documents.js';
import { NO_PART, type PartV2 } from './openapi-v2.js';
import { backendOf, type FrontProxy, serviceOf, tlsOf, userHeaders } from './remote.js';

export interface AggregatorOptions {
  reach: Reach;
  /** For the status of APIServices. */
  transport: Transport;
  frontProxy: FrontProxy | undefined;
  clock: Clock;
  logger: Logger;
  closing: AbortSignal;
}

/** A group version of another server, as discovery shows it. */
export interface RemoteVersion {
  group: string;
  version: string;
  groupPriority: number;
  versionPriority: number;
  resources: DiscoveredResource[];
  fresh: boolean;
  openapi: Record<string, { serverRelativeURL: string }>;
  openapiV2: PartV2;
}

interface Remote extends RemoteVersion {
  apiService: APIService;
  available: boolean;
}

/** Servers can go without any event that is seen here. */
const CHECK_AGAIN_MS = 30_000;

const UNAVAILABLE: Result = {
  type: 'raw',
  code: 503,
  headers: { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' },
  body: 'service unavailable\n',
};

export class Aggregator {
  readonly #options: AggregatorOptions;
  /** By `group/version`. */
  readonly #remote = new Map<string, Remote>();
  readonly #queue: WorkQueue;
  /** Counts changes of what discovery shows. */
  #generation = 0;

  constructor(options: AggregatorOptions) {
    this.#options = options;
    this.#queue = new WorkQueue({ clock: options.clock, name: 'AvailableConditionController' });
  }

  /** Knows all APIServices when it resolves; what it gives resolves when `closing` has ended it. */
  async start(): Promise<{ done: Promise<unknown> }> {
    const { reach, closing, logger } = this.#options;
    const { store } = reach;
    const followed = [
      await follow(
        store,
        'apiregistration.k8s.io/apiservices/',
        (key, object) => this.#changed(key, object as APIService | undefined),
        closing,
      ),
      await follow(store, 'core/services/', (key) => this.#serviceChanged(key, -1), closing),
      await follow(
        store,
        'discovery.k8s.io/endpointslices/',
        (key, object) => {
          const name = object?.metadata.labels?.['kubernetes.io/service-name'];
          if (name) this.#serviceChanged(`${object.metadata.namespace}/${name}`, -1);
          else if (!object) this.#serviceChanged(key, -2);
        },
        closing,
      ),
    ];
    const work = runWorkers(this.#queue, 2, (key) => this.#check(key), { logger, signal: closing });
    return { done: Promise.all([work, ...followed.map(({ done }) => done)]) };
  }

  /** All group versions that other servers serve. */
  get versions(): RemoteVersion[] {
    return [...this.#remote.values()];
  }

  /** Changes whenever `versions` do. */
  get generation(): number {
    return this.#generation;
  }

  /** Whether another server answers requests for `path`. */
  claims(path: string): boolean {
    return this.#remote.size > 0 && this.#of(path) !== undefined;
  }

  /** Passes a request on that `claims` says yes to. */
  async proxy(call: Call): Promise<Result> {
    const remote = this.#of(call.path);
    if (!remote?.available) return UNAVAILABLE;
    const route = await this.#routeTo(remote, call);
    return route ? forward(call, route) : UNAVAILABLE;
  }

  /** For an upgrade; undefined where there is no server. */
  async route(call: Call): Promise<Route | undefined> {
    const remote = this.#of(call.path);
    return remote?.available ? this.#routeTo(remote, call) : undefined;
  }

  async #routeTo({ apiService }: Remote, call: Call): Promise<Route | undefined> {
    const { reach, frontProxy, logger } = this.#options;
    try {
      const backend = await backendOf(reach, apiService, tlsOf(apiService, frontProxy));
      const headers = { ...userHeaders(call.user), host: backend.host };
      return { backend, path: call.path, prefix: '', headers, redirects: false };
    } catch (error) {
      logger.warn(
        { err: error, apiService: apiService.metadata.name },
        'no way to the server of an APIService',
      );
      return undefined;
    }
  }

  #of(path: string): Remote | undefined {
    const [, root, group = '', version = '', ...rest] = path.split('/');
    if (root === 'apis') return this.#remote.get(`${group}/${version}`);
    // /openapi/v3/apis/<group>/<version>
    if (root === 'openapi' && group === 'v3' && version === 'apis')
      return this.#remote.get(`${rest[0]}/${rest[1]}`);
    return undefined;
  }

  #changed(key: string, apiService: APIService | undefined): void {
    const name = key.slice(key.lastIndexOf('/') + 1);
    const [version = '', ...groupParts] = name.split('.');
    const id = `${groupParts.join('.')}/${version}`;
    const before = this.#remote.get(id);
    if (!apiService?.spec.service) {
      if (this.#remote.delete(id)) this.#generation++;
      return;
    }
    const { groupPriorityMinimum, versionPriority } = apiService.spec;
    const sameSpec =
      before?.apiService.metadata.uid === apiService.metadata.uid &&
      JSON.stringify(before?.apiService.spec) === JSON.stringify(apiService.spec);
    this.#remote.set(id, {
      resources: [],
      fresh: false,
      openapi: {},
      openapiV2: NO_PART,
      ...(sameSpec ? before : {}),
      group: groupParts.join('.'),
      version,
      groupPriority: groupPriorityMinimum,
      versionPriority,
      apiService,
      available: availableCondition(apiService)?.status === 'True',
    });
    if (sameSpec) return;
    this.#generation++;
    this.#queue.add(id);
  }

  /** `key` ends with `<namespace>/<name>`, or (`from` -2) with `<namespace>/<anything>`. */
  #serviceChanged(key: string, from: -1 | -2): void {
    if (this.#remote.size === 0) return;
    const [namespace, name] = key.split('/').slice(-2);
    for (const [id, { apiService }] of this.#remote) {
      const target = serviceOf(apiService);
      if (target.namespace === namespace && (from === -2 || target.name === name)) this.#queue.add(id);
    }
  }

  async #check(id: string): Promise<void> {
    const remote = this.#remote.get(id);
    if (!remote) return;
    const { reach, frontProxy } = this.#options;
    const verdict = await checkAvailability(reach, remote.apiService, frontProxy);
    await this.#tell(remote.apiService, verdict);
    if (this.#remote.get(id)?.apiService.metadata.uid !== remote.apiService.metadata.uid) return;
    if (verdict.status === 'True') await this.#learn(id, remote);
    else if (remote.fresh) this.#replace(id, { fresh: false });
    this.#queue.addAfter(id, verdict.status === 'True' ? CHECK_AGAIN_MS : this.#retryMs(id));
  }

  readonly #failures = new Map<string, number>();

  /** 250 ms after the first failure, doubled with each, at most 30 s. */
  #retryMs(id: string): number {
    const failures = this.#failures.get(id) ?? 0;
    this.#failures.set(id, failures + 1);
    return Math.min(CHECK_AGAIN_MS, 250 * 2 ** failures);
  }

  async #learn(id: string, { apiService, group, version }: Remote): Promise<void> {
    this.#failures.delete(id);
    const { reach, frontProxy, logger } = this.#options;
    try {
      const backend = await backendOf(reach, apiService, tlsOf(apiService, frontProxy));
      const [resources, openapi, v2] = await Promise.all([
        discover(backend, group, version),
        openapiPaths(backend, group, version).catch(() => ({})),
        openapiV2(backend, group, version).catch(() => NO_PART),
      ]);
      this.#replace(id, { resources, openapi, openapiV2: v2, fresh: true });
    } catch (error) {
      logger.warn({ err: error, apiService: apiService.metadata.name }, 'no discovery of an APIService');
      this.#replace(id, { fresh: false });
    }
  }

  #replace(id: string, change: Partial<RemoteVersion>): void {
    const now = this.#remote.get(id);
    if (!now) return;
    const next = { ...now, ...change };
    this.#remote.set(id, next);
    if (JSON.stringify([now.resources, now.fresh]) !== JSON.stringify([next.resources, next.fresh]))
      this.#generation++;
  }

  /** Writes the condition if it says something new. */
  async #tell(apiService: APIService, verdict: Verdict): Promise<void> {
    const { transport, clock } = this.#options;
    const old = availableCondition(apiService);
    if (old?.status === verdict.status && old.reason === verdict.reason && old.message === verdict.message)
      return;
    const lastTransitionTime =
      old?.status === verdict.status ? old.lastTransitionTime! : (timestamp(clock.now()) as never);
    const conditions = [
      ...(apiService.status?.conditions ?? []).filter(({ type }) => type !== 'Available'),
      { type: 'Available', ...verdict, lastTransitionTime },
    ];
    await new Client(transport)
      .of(apiServices)
      .patch(
        '',
        apiService.metadata.name!,
        { status: { conditions } },
        { type: 'merge', subresource: 'status' },
      )
      .catch((error) => {
        if (!isReason(error, 'NotFound')) throw error;
      });
  }
}
