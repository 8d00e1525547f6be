/** Which images the nodes of this machine use: they share one store. */
import { dirname, join } from 'node:path';
import { namesIn, SandboxState } from '../../runtime/state.js';
import { ownImages } from '../cri/own.js';
import { volumeImages } from '../volumes/image.js';

/** Ids. `runDir` and `dataDir`: of one node; those of the others are beside them. */
export async function imagesInUse(runDir: string, dataDir: string): Promise<Set<string>> {
  const used = new Set<string>();
  for (const node of namesIn(dirname(runDir))) {
    const sandboxes = join(dirname(runDir), node, 'sandboxes', 'sandboxes');
    for (const id of namesIn(sandboxes))
      for (const { config } of new SandboxState(join(sandboxes, id)).containers()) used.add(config.imageId);
  }
  for (const node of namesIn(dirname(runDir)))
    for (const id of ownImages(join(dirname(runDir), node, 'cri'))) used.add(id);
  for (const node of namesIn(dirname(dataDir)))
    for (const id of await volumeImages(join(dirname(dataDir), node, 'pods'))) used.add(id);
  return used;
}
