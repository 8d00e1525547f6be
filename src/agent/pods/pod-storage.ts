/** The volumes of one pod as its worker sees them: whether they are there, and what follows changes of what they show. */
import type { Pod, Volume } from '#types';
import { crashPoint } from '../../runtime/crash-points.js';
import { makeFolder } from '../../runtime/make-folder.js';
import type { VolumeUsage } from '../csi/upkeep.js';
import { VolumeError } from '../volumes/payloads.js';
import { MountError, PodVolumes } from '../volumes/volumes.js';
import type { Operations } from './operations.js';
import { RECORD } from './saved-pods.js';
import { TokenSource } from './token-source.js';
import type { WorkerDeps } from './worker-deps.js';

/** Volumes whose drivers want it are published again after this. */
const REPUBLISH_MS = 60_000;

/** The pod as it is now. */
export interface PodSource {
  readonly pod: Pod;
  /** Its own folder. */
  readonly dir: string;
  changed(): void;
}

export class PodStorage {
  state: 'none' | 'ready' | 'failed' = 'none';
  readonly #volumes: PodVolumes;
  readonly #tokens: TokenSource;

  constructor(
    private readonly of: PodSource,
    private readonly deps: WorkerDeps,
    private readonly operations: Operations,
  ) {
    this.#tokens = new TokenSource(deps.clock, (audience, seconds) => deps.token(of.pod, audience, seconds));
    this.#tokens.onRotate = () => this.refresh();
    const { objects } = deps;
    const { namespace } = of.pod.metadata;
    this.#volumes = new PodVolumes(of.dir, {
      node: deps.facts,
      podIPs: [],
      configMap: (name) => objects.get('configmaps', `${namespace}/${name}`),
      secret: (name) => objects.get('secrets', `${namespace}/${name}`),
      token: (audience, seconds) => this.#tokens.get(audience, seconds),
      claim: (name) => objects.get('persistentvolumeclaims', `${namespace}/${name}`),
      persistentVolume: (name) => objects.get('persistentvolumes', name),
      csi: deps.csi,
      image: ({ name, image }) =>
        deps.puller.ensure(of.pod, {
          name,
          image: image?.reference,
          imagePullPolicy: image?.pullPolicy,
        }),
      users: () => deps.users.claim(of.pod),
      csiDriver: (name) => objects.get('csidrivers', name),
      localReady: (volume) => deps.localVolumes.ready(volume),
    });
  }

  /** Volume name → host path. */
  get paths(): Map<string, string> {
    return this.#volumes.paths;
  }

  async mount(): Promise<void> {
    const { of, operations, deps } = this;
    try {
      await makeFolder(of.dir, 0o750);
      await this.#volumes.setUp(of.pod);
      crashPoint('volumes made');
      this.state = 'ready';
      operations.succeeded('volumes');
      this.grow();
      this.#publishAgain();
    } catch (error) {
      const { message } = error as Error;
      if (!(error instanceof MountError))
        deps.event(
          ...([of.pod, undefined, 'Warning', 'FailedToMakePodDataDirectories'] as const),
          `error making pod data directories: ${message}`,
        );
      else if (!error.quiet) deps.event(of.pod, undefined, 'Warning', 'FailedMount', message);
      this.state = 'failed';
      operations.retry('volumes', () => {
        this.retry();
        of.changed();
      });
    }
  }

  /** What failed may work now: it is tried again. */
  retry(): boolean {
    if (this.state !== 'failed') return false;
    this.state = 'none';
    return true;
  }

  /** What the volumes show may have changed. */
  refresh(): void {
    if (this.state !== 'ready') return;
    this.operations.runAfresh('refreshVolumes', async () => {
      try {
        await this.#volumes.refresh(this.of.pod);
      } catch (error) {
        // What was deleted under a running pod stays in its files, as upstream.
        if (!(error instanceof VolumeError)) throw error;
      }
    });
  }

  /** Claims may have become larger. */
  grow(): void {
    const { deps, of, operations } = this;
    const hasClaims = of.pod.spec.volumes?.some((one) => one.persistentVolumeClaim ?? one.ephemeral);
    if (this.state !== 'ready' || !hasClaims) return;
    operations.runAfresh('growVolumes', async () => {
      try {
        for (const name of await this.#volumes.grow(of.pod)) {
          const message = `MountVolume.NodeExpandVolume succeeded for volume ${JSON.stringify(name)} ${deps.facts.name}`;
          deps.event(of.pod, undefined, 'Normal', 'FileSystemResizeSuccessful', message);
        }
      } catch (error) {
        deps.event(of.pod, undefined, 'Warning', 'VolumeResizeFailed', (error as Error).message);
        operations.retry('grow', () => this.grow());
      }
    });
  }

  usage(volume: Volume): Promise<VolumeUsage | undefined> {
    return this.#volumes.usage(this.of.pod, volume);
  }

  #publishAgain(): void {
    if (this.state !== 'ready' || !this.#volumes.wantsRepublish(this.of.pod)) return;
    this.operations.after(REPUBLISH_MS, () => {
      this.refresh();
      this.#publishAgain();
    });
  }

  /** With `record`, what is written of the pod for a later agent stays. */
  async tearDown(keep?: 'record'): Promise<void> {
    await this.#volumes.tearDown(keep && RECORD);
    this.state = 'none';
  }

  close(): void {
    this.#tokens.close();
  }
}
