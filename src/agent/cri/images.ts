/** The images of the node. */

import type { Cri } from '../../rpc/cri.js';
import type { Image } from '../../runtime/types.js';
import { fileSystem } from '../kubelet/stats/files.js';
import type { CriDeps } from './deps.js';
import { nanos } from './errors.js';

export function imageMessage({ id, tags, digests, size, config }: Image): Cri.Image.$Properties {
  const [user = ''] = config.user.split(':');
  return {
    ...{ id, repoTags: tags, repoDigests: digests, size, spec: { image: id } },
    ...(/^\d+$/.test(user) ? { uid: { value: Number(user) } } : { username: user }),
  };
}

export function listImages({ images }: CriDeps, filter: Cri.ImageFilter.$Properties | null | undefined) {
  const name = filter?.image?.image;
  const found = name ? [images.find(name)].filter((image) => image !== undefined) : images.list();
  return { images: found.map(imageMessage) };
}

export function imageStatus({ images }: CriDeps, { image, verbose }: Cri.ImageStatusRequest.$Properties) {
  const found = images.find(image?.image ?? '');
  if (!found) return {};
  const info = { imageSpec: { config: found.config, rootfs: { layers: found.layers.length } } };
  return { image: imageMessage(found), ...(verbose ? { info: { info: JSON.stringify(info) } } : {}) };
}

export async function pullImage(
  { images }: CriDeps,
  { image, auth }: Cri.PullImageRequest.$Properties,
): Promise<Cri.PullImageResponse.$Properties> {
  const given = credentials(auth);
  const pulled = await images.pull(image?.image ?? '', given ? { auth: given } : {});
  return { imageRef: pulled.id };
}

function credentials(auth: Cri.AuthConfig.$Properties | null | undefined) {
  if (auth?.username) return { username: auth.username, password: auth.password ?? '' };
  if (!auth?.auth) return undefined;
  const text = Buffer.from(auth.auth, 'base64').toString();
  const colon = text.indexOf(':');
  return { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** With all its names; again without harm. */
export async function removeImage({ images }: CriDeps, name: string): Promise<void> {
  const image = images.find(name);
  if (image) await images.remove(image.id);
}

export async function imageFsInfo({ imagesDir, stateDir, images }: CriDeps) {
  const usage = async (mountpoint: string, used: number) => ({
    ...{ timestamp: nanos(Date.now()), fsId: { mountpoint }, usedBytes: { value: used } },
    inodesUsed: { value: (await fileSystem(mountpoint))?.inodesUsed ?? 0 },
  });
  const size = images.list().reduce((sum, image) => sum + image.size, 0);
  const whole = await fileSystem(stateDir);
  return {
    imageFilesystems: [await usage(imagesDir, size)],
    containerFilesystems: [await usage(stateDir, whole?.usedBytes ?? 0)],
  };
}
