/** What a container of the interface has mounted: its files of names, what it asks of the host, and images. */
import { stat } from 'node:fs/promises';
import { join, normalize } from 'node:path';
import type { Cri } from '../../rpc/cri.js';
import { Cri as V1 } from '../../rpc/cri.js';
import { removeTree } from '../../runtime/mount-points.js';
import type { Image, Mount, SandboxConfig } from '../../runtime/types.js';
import { mountImage } from '../volumes/image.js';
import { mountSubPath } from '../volumes/sub-path.js';
import type { CriDeps } from './deps.js';
import { invalid, notFound } from './errors.js';
import type { OwnSandbox } from './own.js';
import { userRange } from './prepare.js';

const PROPAGATION = ['private', 'rslave', 'rshared'] as const;

const folderOf = (folder: string, id: string): string => join(folder, 'mounts', id);

/** @throws INVALID_ARGUMENT for what can't be mounted so, NOT_FOUND for an image that is not here. */
export async function containerMounts(
  { own, images }: Pick<CriDeps, 'own' | 'images'>,
  sandbox: OwnSandbox,
  config: Cri.ContainerConfig.$Properties,
  id: string,
): Promise<{ mounts: Mount[]; volumes: Image[] }> {
  const folder = own.folder(sandbox.id);
  const users = userRange(sandbox.config.linux?.securityContext?.namespaceOptions?.usernsOptions);
  const volumes: Image[] = [];
  const asked: Mount[] = [];
  try {
    for (const [i, mount] of (config.mounts ?? []).entries()) {
      check(mount);
      const image = mount.image?.image ? images.find(mount.image.image) : undefined;
      if (mount.image?.image && !image) throw notFound('image', mount.image.image);
      if (image) volumes.push(image);
      const source = image
        ? await imageFiles(join(folderOf(folder, id), String(i)), image, mount, users)
        : (mount.hostPath ?? '');
      asked.push({
        ...{ source, target: mount.containerPath ?? '', readOnly: mount.readonly ?? false },
        ...{ recursive: mount.recursiveReadOnly ?? false, propagation: PROPAGATION[mount.propagation ?? 0] },
      });
    }
  } catch (error) {
    await removeMounts(folder, id);
    throw error;
  }
  return { mounts: [...standardMounts(sandbox, config, folder, asked), ...asked], volumes };
}

/** Takes away what was mounted for a container. */
export const removeMounts = (folder: string, id: string): Promise<void> => removeTree(folderOf(folder, id));

function check({ image, readonly, recursiveReadOnly, propagation, hostPath }: Cri.Mount.$Properties): void {
  if (image?.image && !readonly) throw invalid('image mounts must be read-only');
  if (image?.image && hostPath) throw invalid('a mount has either a path of the host or an image');
  if (!recursiveReadOnly) return;
  if (!readonly) throw invalid('recursive read-only mount conflicts with a read-write mount');
  if (propagation)
    throw invalid(
      `recursive read-only mount conflicts with the propagation mode ${V1.MountPropagation[propagation]}`,
    );
}

async function imageFiles(
  path: string,
  image: Image,
  { imageSubPath }: Cri.Mount.$Properties,
  users: SandboxConfig['users'],
): Promise<string> {
  const root = await mountImage(path, image, users);
  if (!imageSubPath) return root;
  if (!(await stat(join(root, normalize(imageSubPath))).catch(() => undefined)))
    throw invalid(`image mount: the image has no ${JSON.stringify(imageSubPath)}`);
  return mountSubPath(root, imageSubPath, `${path}.part`);
}

function standardMounts(
  { config: pod }: OwnSandbox,
  config: Cri.ContainerConfig.$Properties,
  folder: string,
  asked: Mount[],
): Mount[] {
  const taken = new Set(asked.map(({ target }) => target));
  const isHost = pod.linux?.securityContext?.namespaceOptions?.network === V1.NamespaceMode.NODE;
  const files = isHost && !pod.dnsConfig ? ['hosts', 'hostname'] : ['hosts', 'hostname', 'resolv.conf'];
  const readOnly = config.linux?.securityContext?.readonlyRootfs ?? false;
  return files
    .map((file) => ({ source: join(folder, file), target: `/etc/${file}`, readOnly }))
    .filter(({ target }) => !taken.has(target));
}
