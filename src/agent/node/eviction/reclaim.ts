/** What a node can give back of its disk before a pod has to go: ended containers, and images that nothing uses. */
import { isBuiltIn } from '../../../runtime/images/builtin.js';
import type { ImageStore, Runtime } from '../../../runtime/types.js';

/** `inUse`: ids of images that are used in other ways than by containers. */
export async function reclaimDisk(runtime: Runtime, images: ImageStore, inUse: string[] = []): Promise<void> {
  const containers = runtime.sandboxes().flatMap((sandbox) => sandbox.containers);
  const used = new Set([...inUse, ...containers.map((container) => container.imageId)]);
  for (const image of images.list()) {
    if (used.has(image.id) || isBuiltIn(image)) continue;
    // A name at a time: with the last one the image goes.
    for (const name of [...image.tags, ...image.digests]) await images.remove(name).catch(() => {});
  }
}
