/** `keelson kubeconfig` */
import { existsSync, readFileSync } from 'node:fs';
import type { CommandModule } from 'yargs';
import { CliError } from '../error.js';
import { mergeKubeconfig, userKubeconfigPath } from '../kubeconfig.js';
import { type ClusterOptions, clusterOptions } from '../options.js';
import { clusterPaths } from '../paths.js';

export const kubeconfigCommand: CommandModule<object, ClusterOptions & { merge: boolean }> = {
  command: 'kubeconfig',
  describe: "Print the administrator's kubeconfig, or merge it into yours",
  builder: (parser) =>
    clusterOptions(parser).option('merge', {
      type: 'boolean',
      default: false,
      describe: 'Add the context to your kubeconfig and make it current',
    }),
  handler: ({ name, dataDir, merge }) => {
    const { adminKubeconfig } = clusterPaths(name, dataDir);
    if (!existsSync(adminKubeconfig))
      throw new CliError(`There is no cluster "${name}" on this machine (${adminKubeconfig} is missing).`);
    if (!merge) process.stdout.write(readFileSync(adminKubeconfig, 'utf8'));
    else mergeKubeconfig(adminKubeconfig, userKubeconfigPath());
  },
};
