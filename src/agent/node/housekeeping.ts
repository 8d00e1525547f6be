/** What a node looks after by itself: its logs, its images, and what it runs short of. */
import type { Logger } from 'pino';
import type { Pod } from '#types';
import type { Clock } from '../../api/machinery/clock.js';
import type { LocalImageStore } from '../../runtime/images/index.js';
import type { Runtime } from '../../runtime/types.js';
import { LogRotation } from '../logs/rotation.js';
import type { PodWorker } from '../pods/worker.js';
import { EvictionManager } from './eviction/manager.js';
import { observe } from './eviction/observe.js';
import type { EvictionMessage } from './eviction/ranking.js';
import { reclaimDisk } from './eviction/reclaim.js';
import type { Pressure } from './eviction/thresholds.js';
import { ImageGc } from './image-gc.js';
import { imagesInUse } from './images-in-use.js';
import type { NodeSettings } from './settings.js';

export interface HousekeepingDeps {
  dataDir: string;
  stateDir: string;
  runtime: Runtime;
  images: LocalImageStore;
  clock: Clock;
  logger: Logger;
  settings: NodeSettings;
  pods(): PodWorker[];
  /** Bytes that all pods may have together; 0: whatever there is. */
  podsMemory(): number;
  /** The node has other images or pressures. */
  changed(): void;
  /** A warning about the node. */
  warn(reason: string, message: string): void;
  evicted(pod: Pod, message: EvictionMessage): void;
}

export class Housekeeping {
  readonly #rotation: LogRotation;
  readonly #evictions: EvictionManager;
  readonly #imageGc: ImageGc;

  constructor(deps: HousekeepingDeps) {
    const { dataDir, stateDir, runtime, images, clock, logger, settings } = deps;
    const inUse = () => imagesInUse(stateDir, dataDir);
    const event = (reason: string, message: string) => deps.warn(reason, message);
    this.#rotation = new LogRotation({
      ...settings.logs,
      ...{ runtime, clock, logger: logger.child({ component: 'logs' }) },
    });
    this.#evictions = new EvictionManager({
      ...{ settings: settings.eviction, runtime, clock, event },
      logger: logger.child({ component: 'evictions' }),
      pods: () => deps.pods(),
      observe: () => observe(dataDir),
      podsMemory: () => deps.podsMemory(),
      reclaimDisk: async () => {
        const dropBuildSteps = () => images.dropSteps(() => true);
        await reclaimDisk({ runtime, images, inUse, dropBuildSteps });
        deps.changed();
      },
      changed: () => deps.changed(),
      evicted: (pod, message) => deps.evicted(pod, message),
    });
    this.#imageGc = new ImageGc({
      ...{ settings: settings.imageGc, images, clock, inUse, event },
      logger: logger.child({ component: 'images' }),
      disk: () => observe(dataDir)['imagefs.available']!,
      dropBuildSteps: () => images.dropSteps((usedAt) => clock.now() - usedAt > settings.imageGc.minAgeMs),
      changed: () => deps.changed(),
    });
  }

  /** What the node is short of. */
  get pressures(): ReadonlySet<Pressure> {
    return this.#evictions.conditions;
  }

  close(): void {
    this.#rotation.close();
    this.#evictions.close();
    this.#imageGc.close();
  }
}
