/** What a node can give back of its disk before a pod has to go: ended containers, and images that nothing uses. */
import { rm } from 'node:fs/promises';
import { isBuiltIn } from '../../../runtime/images/builtin.js';
import type { ImageStore, Runtime } from '../../../runtime/types.js';

export interface Reclaim {
  runtime: Runtime;
  images: ImageStore;
  /** Ids of the images that something uses. */
  inUse(): Promise<ReadonlySet<string>>;
  /** What builds keep and no image has. */
  dropBuildSteps(): Promise<unknown>;
}

export async function reclaimDisk({ runtime, images, inUse, dropBuildSteps }: Reclaim): Promise<void> {
  // An ended container is kept for its status; nobody sees its files any more.
  for (const { id, state } of runtime.sandboxes().flatMap((sandbox) => sandbox.containers))
    if (state === 'exited') await rm(runtime.writableLayer(id), { recursive: true, force: true });
  await dropBuildSteps();
  const used = await inUse();
  for (const image of images.list())
    if (!used.has(image.id) && !isBuiltIn(image)) await images.remove(image.id).catch(() => {});
}
