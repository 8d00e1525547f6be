/** The folder of one pod below that of all pods: its volumes, files and record. */
import { mkdir } from 'node:fs/promises';

/** Its parent must be there: to make both in one call hides why it can't be done. */
export async function makePodFolder(dir: string): Promise<void> {
  await mkdir(dir, { mode: 0o750 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
}
