/** APIServices of the group versions that this server serves itself: the built-in ones, and those of CustomResourceDefinitions. */
import type { Logger } from 'pino';
import type { APIService } from '#types';
import { isReason } from '../../../api/machinery/status.js';
import type { KubeObject } from '../../../api/machinery/types.js';
import { sameJson } from '../../../api/machinery/validation.js';
import { apiServices } from '../../../api/resources/index.js';
import { Client } from '../../../client/client.js';
import { WorkQueue } from '../../../client/queue.js';
import type { Transport } from '../../../client/transport.js';
import { runWorkers } from '../../../client/workers.js';
import type { Store } from '../../../store/store.js';
import { follow } from '../../follow.js';
import { keyOf } from '../../keys.js';
import { priorityOf } from './priorities.js';

const MANAGED = 'kube-aggregator.kubernetes.io/automanaged';
const CRDS = 'apiextensions.k8s.io/customresourcedefinitions/';

export interface GroupVersion {
  group: string;
  version: string;
}

interface CustomResourceDefinition extends KubeObject {
  spec: { group: string; versions?: { name: string; served?: boolean }[] };
}

export const apiServiceName = ({ group, version }: GroupVersion): string => `${version}.${group}`;

function local(of: GroupVersion, managed: 'onstart' | 'true'): APIService {
  const priority = priorityOf(of.group, of.version);
  return {
    apiVersion: apiServices.apiVersion,
    kind: apiServices.kind,
    metadata: { name: apiServiceName(of), labels: { [MANAGED]: managed } },
    spec: {
      ...(of.group === '' ? {} : { group: of.group }),
      version: of.version,
      groupPriorityMinimum: priority.group,
      versionPriority: priority.version,
    },
  } as APIService;
}

/** Registers the built-in ones; resolves when all are there. One that somebody has taken over stays as it is. */
export async function registerBuiltIn(transport: Transport, served: GroupVersion[]): Promise<void> {
  const client = clientOf(transport);
  await Promise.all(served.map((of) => put(client, local(of, 'onstart'))));
}

async function put(client: ReturnType<typeof clientOf>, wanted: APIService): Promise<void> {
  try {
    await client.create(wanted);
  } catch (error) {
    if (!isReason(error, 'AlreadyExists')) throw error;
    const existing = await client.get('', wanted.metadata.name!);
    if (existing.metadata.labels?.[MANAGED] === undefined || sameJson(existing.spec, wanted.spec)) return;
    await client.update({ ...existing, spec: wanted.spec });
  }
}

const clientOf = (transport: Transport) => new Client(transport).of(apiServices);

/** Keeps the APIServices of custom groups until `closing`: made with their definitions, gone with the last of them. */
export async function keepCustom(
  store: Store,
  transport: Transport,
  logger: Logger,
  closing: AbortSignal,
): Promise<{ done: Promise<unknown> }> {
  const client = clientOf(transport);
  const queue = new WorkQueue({ name: 'crd-autoregister' });
  /** By the key of the definition. */
  const served = new Map<string, GroupVersion[]>();
  const wanted = (name: string): GroupVersion | undefined =>
    [...served.values()].flat().find((of) => apiServiceName(of) === name);
  const definitions = await follow(
    store,
    CRDS,
    (key, object) => {
      for (const of of served.get(key) ?? []) queue.add(apiServiceName(of));
      const { group, versions = [] } = (object as CustomResourceDefinition | undefined)?.spec ?? {
        group: '',
      };
      const now = versions.filter((v) => v.served).map(({ name }) => ({ group, version: name }));
      if (object) served.set(key, now);
      else served.delete(key);
      for (const of of now) queue.add(apiServiceName(of));
    },
    closing,
  );
  // Those that are left of definitions that went while nobody looked, and those that somebody deletes or changes.
  const services = await follow(
    store,
    'apiregistration.k8s.io/apiservices/',
    (key, object) => {
      const name = key.slice(key.lastIndexOf('/') + 1);
      const managed = object?.metadata.labels?.[MANAGED] === 'true';
      if (managed || (object === undefined && wanted(name))) queue.add(name);
    },
    closing,
  );
  const reconcile = async (name: string) => {
    const of = wanted(name);
    if (of) return put(client, local(of, 'true'));
    const left = store.get(keyOf(apiServices, '', name))?.object;
    if (left?.metadata.labels?.[MANAGED] === 'true') await client.delete('', name).catch(ignoreGone);
  };
  const work = runWorkers(queue, 1, reconcile, { logger, signal: closing });
  return { done: Promise.all([definitions.done, services.done, work]) };
}

function ignoreGone(error: unknown): void {
  if (!isReason(error, 'NotFound')) throw error;
}
