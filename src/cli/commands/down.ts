/** `keelson down`: nothing of the cluster stays behind. */
import { existsSync } from 'node:fs';
import type { CommandModule } from 'yargs';
import { type ClusterOptions, clusterOptions } from '../options.js';
import { clusterPaths } from '../paths.js';
import { requireRoot } from '../preflight.js';
import { createProgress } from '../progress.js';
import { takeDown } from '../take-down.js';

export const downCommand: CommandModule<object, ClusterOptions & { keepData: boolean }> = {
  command: 'down',
  describe: 'Stop a cluster and remove all that it made on this machine',
  builder: (parser) =>
    clusterOptions(parser).option('keep-data', {
      type: 'boolean',
      default: false,
      describe: 'Keep database, keys and images for the next "up"',
    }) as never,
  handler: async ({ name, dataDir, keepData }) => {
    requireRoot('down');
    const paths = clusterPaths(name, dataDir);
    const progress = createProgress();
    if (!existsSync(paths.run) && !existsSync(paths.data)) {
      progress.done(`There is no cluster "${name}" on this machine.`);
      return;
    }
    progress.step(`Taking cluster "${name}" down`);
    await takeDown(paths, { keepData });
    progress.done();
  },
};
