/** The volumes of one pod: made before its containers start, kept up to date, taken away at its end. */
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { CSIDriver, PersistentVolume, Pod, Volume } from '#types';
import { claimNameOf } from '../../api/storage/pod-claims.js';
import { removeTree } from '../../runtime/mount-points.js';
import type { Image, SandboxConfig } from '../../runtime/types.js';
import { AttachPending, DeviceError } from '../csi/context.js';
import { type CsiVolume, ephemeralCsiVolume, persistentCsiVolume } from '../csi/request.js';
import type { VolumeUsage } from '../csi/upkeep.js';
import type { CsiVolumes } from '../csi/volumes.js';
import { writePayload } from './atomic-writer.js';
import { type ClaimSources, ProcessError, volumeOfClaim } from './claims.js';
import { makeEmptyDir, mountOnce } from './empty-dir.js';
import { hostPath } from './host-path.js';
import { mountImage } from './image.js';
import { isPayloadVolume, type PayloadSources, payload, VolumeError } from './payloads.js';
import { localVolumePath } from './persistent.js';

/** A volume could not be set up; the message is that of upstream's FailedMount event. */
export class MountError extends Error {
  /** It is only waited for something that takes its time: nothing to tell of. */
  quiet = false;
}

function mountError(volume: string, error: unknown): MountError {
  const why = error instanceof Error ? error.message : String(error);
  if (error instanceof ProcessError)
    return new MountError(
      `Unable to attach or mount volumes: unmounted volumes=[${volume}], unattached volumes=[], failed to process volumes=[${volume}]: ${why}`,
    );
  const { name, operation } = error instanceof NamedError ? error : { name: volume, operation: 'SetUp' };
  return new MountError(`MountVolume.${operation} failed for volume ${JSON.stringify(name)} : ${why}`);
}

const isPending = (error: unknown): boolean =>
  error instanceof AttachPending || (error instanceof NamedError && error.cause instanceof AttachPending);

/** What failed has another name than the pod's volume. */
class NamedError extends VolumeError {
  readonly operation: string;

  constructor(
    override readonly name: string,
    override readonly cause: unknown,
  ) {
    super(cause instanceof Error ? cause.message : String(cause));
    this.operation = cause instanceof DeviceError ? 'MountDevice' : 'SetUp';
  }
}

export interface VolumeSources extends PayloadSources, ClaimSources {
  csi: CsiVolumes;
  /** The image of a volume, pulled if its policy wants that. */
  image(volume: Volume): Promise<Image>;
  /** The host's ids that the pod has, if they are not the host's own. */
  users(): SandboxConfig['users'];
  csiDriver(name: string): CSIDriver | undefined;
  /** Resolves once what the node itself makes of the volume is there. */
  localReady(volume: PersistentVolume): Promise<void>;
}

export class PodVolumes {
  /** Volume name → host path. */
  readonly paths = new Map<string, string>();

  /** `dir` is the pod's own folder. */
  constructor(
    private readonly dir: string,
    private readonly sources: VolumeSources,
  ) {}

  /** Sets all volumes up, side by side. Idempotent. Throws MountError for the first that fails. */
  async setUp(pod: Pod): Promise<void> {
    await Promise.all(
      (pod.spec.volumes ?? []).map(async (volume) => {
        try {
          this.paths.set(volume.name, await this.#setUp(pod, volume));
        } catch (error) {
          const failure = mountError(volume.name, error);
          failure.quiet = isPending(error);
          throw failure;
        }
      }),
    );
  }

  /** Writes anew what comes from objects; false if nothing changed. */
  async refresh(pod: Pod): Promise<void> {
    for (const volume of pod.spec.volumes ?? [])
      if (isPayloadVolume(volume) && this.paths.has(volume.name)) await this.#write(pod, volume);
    await this.#eachCsi(pod, (volume) => this.sources.csi.upkeep.republish(pod, volume, this.sources.token));
  }

  /** Whether a driver wants its volumes published again and again. */
  wantsRepublish(pod: Pod): boolean {
    const drivers = (pod.spec.volumes ?? []).flatMap((volume) => this.#driverOf(pod, volume) ?? []);
    return drivers.some((name) => this.sources.csiDriver(name)?.spec.requiresRepublish);
  }

  /** Lets those grow whose claims have become larger; gives their PersistentVolumes' names. Rejects with upstream's words. */
  async grow(pod: Pod): Promise<string[]> {
    const grown: string[] = [];
    for (const volume of pod.spec.volumes ?? []) {
      const found = this.#mounted(pod, volume);
      const claim = found && this.sources.claim(claimNameOf(pod, volume)!);
      if (!claim) continue;
      const { name } = found.metadata;
      try {
        if (await this.sources.csi.upkeep.grow(pod, found, claim)) grown.push(name);
      } catch (error) {
        throw new Error(
          `NodeExpandVolume.NodeExpandVolume failed for volume ${JSON.stringify(name)} : ${(error as Error).message}`,
        );
      }
    }
    return grown;
  }

  /** What the driver says that a volume holds; undefined where it says nothing. */
  async usage(pod: Pod, volume: Volume): Promise<VolumeUsage | undefined> {
    const found = this.#mounted(pod, volume);
    return found?.spec.csi && this.sources.csi.upkeep.usage(pod, persistentCsiVolume(found, false));
  }

  /** The volume behind a claim, where it is mounted. */
  #mounted(pod: Pod, volume: Volume): PersistentVolume | undefined {
    const name = claimNameOf(pod, volume);
    const claim = name && this.paths.has(volume.name) ? this.sources.claim(name) : undefined;
    return claim?.spec.volumeName ? this.sources.persistentVolume(claim.spec.volumeName) : undefined;
  }

  #driverOf(pod: Pod, volume: Volume): string | undefined {
    return volume.csi?.driver ?? this.#mounted(pod, volume)?.spec.csi?.driver;
  }

  async #eachCsi(pod: Pod, work: (volume: CsiVolume) => Promise<void>): Promise<void> {
    for (const volume of pod.spec.volumes ?? []) {
      if (!this.paths.has(volume.name)) continue;
      const found = this.#mounted(pod, volume);
      const readOnly = volume.persistentVolumeClaim?.readOnly ?? false;
      if (volume.csi) await work(ephemeralCsiVolume(pod, volume, this.sources.csiDriver(volume.csi.driver)));
      else if (found?.spec.csi) await work(persistentCsiVolume(found, readOnly));
    }
  }

  /** Removes the pod's folder, but for files whose names begin with `except`. */
  async tearDown(except?: string): Promise<void> {
    this.paths.clear();
    await this.sources.csi.tearDown(basename(this.dir));
    await removeTree(this.dir, except);
  }

  async #setUp(pod: Pod, volume: Volume): Promise<string> {
    if (volume.hostPath) {
      if (isBidirectional(pod, volume)) await this.sources.csi.shareRoot(volume.hostPath.path);
      return hostPath(volume.hostPath.path, volume.hostPath.type);
    }
    if (volume.emptyDir) {
      await makeEmptyDir(this.#path(volume), pod, volume);
      return this.#path(volume);
    }
    if (isPayloadVolume(volume)) return this.#write(pod, volume);
    if (volume.persistentVolumeClaim ?? volume.ephemeral) return this.#persistent(pod, volume);
    if (volume.csi) return this.#inline(pod, volume);
    if (volume.image)
      return mountImage(this.#path(volume), await this.sources.image(volume), this.sources.users());
    throw new VolumeError(`volumes of type ${kindOf(volume)} are not supported`);
  }

  async #persistent(pod: Pod, volume: Volume): Promise<string> {
    const found = volumeOfClaim(pod, volume, this.sources);
    try {
      const readOnly = volume.persistentVolumeClaim?.readOnly ?? false;
      if (found.spec.csi) return await this.#csi(pod, persistentCsiVolume(found, readOnly));
      await this.sources.localReady(found);
      return await localVolumePath(pod, found, readOnly);
    } catch (error) {
      throw new NamedError(found.metadata.name, error);
    }
  }

  /** A volume of a driver that lives and dies with the pod. */
  async #inline(pod: Pod, volume: Volume): Promise<string> {
    return this.#csi(pod, ephemeralCsiVolume(pod, volume, this.sources.csiDriver(volume.csi!.driver)));
  }

  #csi(pod: Pod, volume: CsiVolume): Promise<string> {
    return this.sources.csi.setUp(pod, volume, this.sources.token);
  }

  async #write(pod: Pod, volume: Volume): Promise<string> {
    const path = this.#path(volume);
    // What may be secret never touches the disk.
    if (!volume.configMap) await mountOnce('tmpfs', path, 'mode=0755');
    await writePayload(path, await payload(pod, volume, this.sources), pod.spec.securityContext?.fsGroup);
    return path;
  }

  #path(volume: Volume): string {
    return join(this.dir, 'volumes', `kubernetes.io~${kindOf(volume)}`, volume.name);
  }
}

/** Whether a container's mounts in the volume are to reach the node. */
const isBidirectional = ({ spec }: Pod, { name }: Volume): boolean =>
  [...(spec.initContainers ?? []), ...spec.containers].some((container) =>
    container.volumeMounts?.some(
      (mount) => mount.name === name && mount.mountPropagation === 'Bidirectional',
    ),
  );

const kindOf = (volume: Volume): string =>
  (Object.keys(volume).find((key) => key !== 'name') ?? 'empty-dir').replace(
    /[A-Z]+/g,
    (c) => `-${c.toLowerCase()}`,
  );

/** UIDs of the pods that have a folder. */
export async function podFolders(podsDir: string): Promise<string[]> {
  return readdir(podsDir).catch(() => []);
}
