/** What pod workers share: the node they are on, and what they work with. */
import type { Logger } from 'pino';
import type { Pod, PodStatus } from '#types';
import type { Clock } from '../../api/machinery/clock.js';
import type { PodNetwork } from '../../network/types.js';
import type { ImageStore, Runtime } from '../../runtime/types.js';
import type { CsiVolumes } from '../csi/volumes.js';
import type { NodeDevices } from '../devices/index.js';
import type { NodeObjects } from '../hub/objects.js';
import type { ImagePuller } from '../images/image-puller.js';
import type { CpuManager } from '../node/cpu/manager.js';
import type { NodeSettings } from '../node/settings.js';
import type { LocalPathVolumes } from '../volumes/local-path.js';
import type { PodEvent } from './events.js';
import type { NodeFacts } from './fields.js';
import type { DnsFacts } from './pod-dns.js';
import type { UserRanges } from './user-namespaces.js';

export interface WorkerDeps {
  runtime: Runtime;
  images: ImageStore;
  puller: ImagePuller;
  network: PodNetwork;
  objects: NodeObjects;
  localVolumes: LocalPathVolumes;
  csi: CsiVolumes;
  devices: NodeDevices;
  cpus: Pick<CpuManager, 'allocate' | 'release' | 'retain' | 'of' | 'hasOwn' | 'isStatic'>;
  clock: Clock;
  logger: Logger;
  event: PodEvent;
  /** Folders of pods, by UID. */
  podsDir: string;
  /** Kept up to date by the agent. `whole`: allocatable, and what evictions keep free. */
  facts: NodeFacts & DnsFacts & { memoryCapacity: number; whole: Record<string, string> };
  /** Resolves once the node's network can take pods. */
  networkReady: Promise<void>;
  settings: Pick<NodeSettings, 'podPids' | 'unsafeSysctls'>;
  /** Ids of the host for pods with user namespaces. */
  users: UserRanges;
  /** Whether the machine goes down: no pod begins any more. */
  isShuttingDown(): boolean;
  /** What the node is short of now. */
  pressures(): Iterable<string>;
  /** Rejects when the pod's RuntimeClass asks for a handler that this node does not have. */
  checkHandler(pod: Pod): Promise<void>;
  /** The UID of the static pod that a pod of this UID mirrors. */
  staticOf(uid: string): string | undefined;
  /** A service account token for the pod, with its end in milliseconds since the epoch. */
  token(pod: Pod, audience: string, seconds: number): Promise<{ token: string; expires: number }>;
  /** A new status to tell. */
  setStatus(pod: Pod, status: PodStatus): void;
  /** Resolves once the newest status of the pod has been told. */
  statusSent(uid: string): Promise<void>;
  /** Deletes the pod from the API for good; resolves when that is done. */
  confirmDeleted(pod: Pod): Promise<void>;
  /** Resolves once no Service leads new connections to the pod, or nobody should wait for that any longer. */
  withdrawn(pod: Pod): Promise<void>;
  /** Nothing is left of the pod. */
  gone(uid: string): void;
}

/** As kubelet's probes and hooks say who they are. */
export const USER_AGENT = 'kube-probe/1.36';
