/** Puts a node together: images, runtime, network, the agent, and its local API. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { type Clock, systemClock } from '../api/machinery/clock.js';
import { createPodNetwork } from '../network/index.js';
import { removeBalancerAddresses } from '../network/load-balancer/index.js';
import { ensureBuiltinImages } from '../runtime/images/builtin.js';
import { openImageStore } from '../runtime/images/index.js';
import { createRuntime } from '../runtime/index.js';
import { removeTree } from '../runtime/mount-points.js';
import { Agent } from './agent.js';
import { noteKubeletRoot, removeKubeletRoot } from './csi/root.js';
import { serveLocalApi } from './local-api.js';
import { imagesInUse } from './node/images-in-use.js';
import { type NodeFlags, nodeSettings } from './node/settings.js';
import { removeLeftovers } from './pods/saved-pods.js';

export interface NodeOptions {
  cluster: string;
  node: string;
  /** Sockets and sandboxes' state, such as `/run/keelson/<cluster>/nodes/<node>`. */
  runDir: string;
  /** Credentials, volumes, writable layers. */
  dataDir: string;
  imagesDir: string;
  imageAliases: string;
  /** Settings of registries (mirrors, certificates …): a YAML file that need not be there. */
  registries: string;
  /** Below each cgroup controller's mount. */
  cgroupRoot: string;
  /** The node has a network namespace of its own: its links go with that. */
  ownNetwork?: boolean;
  logger: Logger;
  clock?: Clock;
}

/** How to reach the hub; the token counts only until the node has a certificate. */
export interface Join {
  server: string;
  token?: string;
  caHash?: string;
  nodeIp?: string;
  labels?: Record<string, string>;
  taints?: { key: string; value?: string; effect: string }[];
  /** Where Ingresses are served; they are not when absent, or when both are 0. */
  ingress?: { httpPort: number; httpsPort: number; metricsPort?: number; accessLog?: boolean };
  /** /etc/resolv.conf when absent. */
  resolvConf?: string;
  flags?: NodeFlags;
  /** The kubelet's folder, where storage drivers look; `kubelet` in the data folder when absent. */
  kubeletRoot?: string;
}

export interface RunningNode {
  /** Dials the hub; resolves when the node is registered. */
  join(join: Join): Promise<void>;
  /** Ends the agent; pods run on. */
  close(): Promise<void>;
}

const built = (name: string) => fileURLToPath(new URL(`../../../build/Release/${name}`, import.meta.url));

/** The parts of a node that need no agent: also for taking a node down. */
export async function openNodeParts(options: NodeOptions) {
  const { cluster, node, runDir, dataDir, cgroupRoot } = options;
  const logger = options.logger.child({ node });
  const images = await openImageStore({
    dir: options.imagesDir,
    aliases: options.imageAliases,
    registries: options.registries,
    logger: logger.child({ component: 'images' }),
  });
  const runtime = await createRuntime({
    cluster,
    node,
    stateDir: join(runDir, 'sandboxes'),
    dataDir,
    cgroupRoot,
    images,
    shimPath: built('keelson-shim'),
    logger: logger.child({ component: 'runtime' }),
  });
  const network = createPodNetwork({
    cluster,
    stateDir: runDir,
    logger: logger.child({ component: 'network' }),
  });
  return { images, runtime, network, logger };
}

/** Opens everything that needs no control plane, so that `join` is quick. */
export async function openNode(options: NodeOptions): Promise<RunningNode> {
  const { images, runtime, network, logger } = await openNodeParts(options);
  await ensureBuiltinImages(images, { demoBinary: built('keelson-demo'), busybox: '/bin/busybox' });
  const clock = options.clock ?? systemClock;
  const localApi = await serveLocalApi({
    ...{ socket: join(options.runDir, 'agent.sock'), images, runtime, clock },
    inUse: () => imagesInUse(options.runDir, options.dataDir),
  });
  let agent: Agent | undefined;
  let cri: { close(): void } | undefined;
  return {
    async join({ server, flags, kubeletRoot = join(options.dataDir, 'kubelet'), ...rest }) {
      await noteKubeletRoot(options.dataDir, kubeletRoot);
      agent = new Agent({
        node: options.node,
        hub: server,
        credentialsDir: join(options.dataDir, 'pki'),
        dataDir: options.dataDir,
        pulledDir: join(options.imagesDir, 'pulled'),
        stateDir: options.runDir,
        kubeletRoot,
        runtime,
        images,
        network,
        clock,
        logger,
        settings: nodeSettings(flags),
        ...rest,
      });
      if (flags?.cri !== false) cri = await startCri(options, { images, runtime, network, logger }, agent);
      await agent.start();
      await images.prune(await imagesInUse(options.runDir, options.dataDir));
    },
    async close() {
      await agent?.ending();
      localApi.close();
      cri?.close();
      await agent?.close({ stopPods: false });
      await runtime.close();
      await images.close();
    },
  };
}

const criState = (runDir: string): string => join(runDir, 'cri');

/** Loaded here, as few look at a node this way. */
async function startCri(
  { runDir, imagesDir }: NodeOptions,
  { images, runtime, network, logger }: Awaited<ReturnType<typeof openNodeParts>>,
  agent: Agent,
): Promise<{ close(): void }> {
  const { serveCri } = await import('./cri/server.js');
  return serveCri({
    ...{
      socket: join(runDir, 'cri.sock'),
      stateDir: criState(runDir),
      imagesDir,
      images,
      runtime,
      network,
    },
    podOf: (uid) => agent.podOf(uid),
    networkNotReady: () => agent.networkNotReady,
    logger: logger.child({ component: 'cri' }),
  });
}

/** Ends the pods of a node whose agent has ended, and removes its kernel objects and writable layers. */
export async function removeNode(options: NodeOptions): Promise<void> {
  await switchNodeOff(options);
  await removeLeftovers(join(options.dataDir, 'pods'));
  await removeKubeletRoot(options.dataDir);
}

/** Ends all that runs on a node whose agent has ended: what it has on disk stays for the next start. */
export async function switchNodeOff(options: NodeOptions): Promise<void> {
  const { images, runtime, network } = await openNodeParts(options);
  const left = await runtime.recover();
  await Promise.all(left.map((sandbox) => runtime.removeSandbox(sandbox.id)));
  await removeTree(criState(options.runDir));
  if (!options.ownNetwork) {
    await removeBalancerAddresses(options.runDir);
    await network.teardown();
  }
  await runtime.close();
  await images.close();
}
