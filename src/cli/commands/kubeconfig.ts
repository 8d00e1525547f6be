/** `keelson kubeconfig` */
import { readFileSync } from 'node:fs';
import type { CommandModule } from 'yargs';
import { mergeKubeconfig, userKubeconfigPath } from '../kubeconfig.js';
import { type ClusterOptions, clusterOptions } from '../options.js';
import { clusterPaths, requireCluster } from '../paths.js';

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
    const paths = clusterPaths(name, dataDir);
    const { adminKubeconfig } = paths;
    requireCluster(paths, adminKubeconfig);
    if (!merge) process.stdout.write(readFileSync(adminKubeconfig, 'utf8'));
    else mergeKubeconfig(adminKubeconfig, userKubeconfigPath());
  },
};
