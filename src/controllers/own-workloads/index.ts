/** Keeps the objects that tell what the cluster runs for itself, whatever others make of them. */
import type { DaemonSet, Deployment, Node } from '#types';
import { isReason } from '../../api/machinery/status.js';
import { type KubeObject, objectKey } from '../../api/machinery/types.js';
import { sameJson } from '../../api/machinery/validation.js';
import { daemonSets, deployments, nodes } from '../../api/resources/index.js';
import type { ResourceClient } from '../../client/index.js';
import { type Controller, type ControllersOptions, contextOf, WorkLoop } from '../context.js';
import {
  AGENT_KEY,
  agentSet,
  agentStatus,
  isOwnWorkload,
  SERVER_KEY,
  serverDeployment,
  serverStatus,
} from './objects.js';

const FIELD_MANAGER = 'keelson';

export function startOwnWorkloads(options: ControllersOptions): Controller {
  const context = contextOf(options, 'own-workloads-controller');
  const allNodes = context.informers.of<Node>(nodes);
  const sets = context.informers.of<DaemonSet>(daemonSets);
  const all = context.informers.of<Deployment>(deployments);
  const version = options.version ?? 'latest';

  const applied = new Set<string>();
  /** The object, if it is what this version of the controller made, and nobody else changed it since. */
  const settled = <T extends KubeObject>(key: string, known: T | undefined): T | undefined => {
    const isOwn = applied.has(key) && known?.metadata.generation === known?.['status']?.observedGeneration;
    applied.add(key);
    return isOwn ? known : undefined;
  };

  const reconcile = async (key: string): Promise<void> => {
    if (key === AGENT_KEY)
      await keep(context.client.of(daemonSets), settled(key, sets.get(key)), agentSet(version), (set) =>
        agentStatus(set, allNodes.list()),
      );
    else
      await keep(
        context.client.of(deployments),
        settled(key, all.get(key)),
        serverDeployment(version),
        (deployment) => serverStatus(deployment, context.clock.now()),
      );
  };

  const loop = new WorkLoop(context, [allNodes.synced, sets.synced, all.synced], reconcile, 1);
  const changed = (object: KubeObject) => {
    if (isOwnWorkload(objectKey(object))) loop.queue.add(objectKey(object));
  };
  const handlers = {
    added: changed,
    updated: (_: KubeObject, object: KubeObject) => changed(object),
    deleted: changed,
  };
  const counted = () => loop.queue.add(AGENT_KEY);
  loop.onClose(
    sets.on(handlers),
    all.on(handlers),
    allNodes.on({
      added: counted,
      updated: (old, node) => {
        if (old.status?.conditions !== node.status?.conditions) counted();
      },
      deleted: counted,
    }),
  );
  for (const key of [AGENT_KEY, SERVER_KEY]) loop.queue.add(key);
  return loop;
}

/** Makes it what it has to be unless it is, and writes its status where that is another. */
async function keep<T extends KubeObject>(
  client: ResourceClient<T>,
  settled: T | undefined,
  wanted: T,
  statusOf: (object: T) => object,
): Promise<void> {
  const { name, namespace = '' } = wanted.metadata;
  try {
    const object =
      settled ??
      (await client.patch(namespace, name, wanted, {
        type: 'apply',
        force: true,
        fieldManager: FIELD_MANAGER,
      }));
    const status = statusOf(object);
    if (sameJson(object['status'] ?? {}, status)) return;
    await client.patch(namespace, name, { status }, { type: 'merge', subresource: 'status' });
  } catch (error) {
    if (!isReason(error, 'Conflict') && !isReason(error, 'NotFound')) throw error;
  }
}
