/** One command at a time chooses what must differ between the clusters of a machine: ports, ranges, nodes' names. */
import { mkdirSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';

const RUN = '/run/keelson';

/**
 * Waits for its turn; call the result to let others go on. A lock of the kernel on the folder itself: it ends with its
 * holder, however that ends.
 */
export async function lockMachine(): Promise<() => Promise<void>> {
  const { native } = await import('../runtime/native.js');
  for (;;) {
    mkdirSync(RUN, { recursive: true, mode: 0o700 });
    const folder = await open(RUN, 'r');
    await native.flock(folder.fd, true);
    // The last cluster's end removes the folder; who waited meanwhile has the lock of one that nobody finds.
    const now = statSync(RUN, { throwIfNoEntry: false });
    if (now?.ino === (await folder.stat()).ino) {
      let held = true;
      return async () => {
        if (held) await folder.close();
        held = false;
      };
    }
    await folder.close();
  }
}

export async function withMachineLock<T>(work: () => Promise<T>): Promise<T> {
  const release = await lockMachine();
  try {
    return await work();
  } finally {
    await release();
  }
}
