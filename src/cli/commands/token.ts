/** `keelson token` */
import { readFileSync } from 'node:fs';
import type { CommandModule } from 'yargs';
import type { JoinInfo } from '../../server/control-plane.js';
import { type ClusterOptions, clusterOptions } from '../options.js';
import { clusterPaths, requireCluster } from '../paths.js';

export const tokenCommand: CommandModule<object, ClusterOptions> = {
  command: 'token',
  describe: 'Print the command that joins another machine to this cluster',
  builder: (parser) => clusterOptions(parser),
  handler: ({ name, dataDir }) => {
    const paths = clusterPaths(name, dataDir);
    requireCluster(paths, paths.join);
    const { server, token, caHash } = JSON.parse(readFileSync(paths.join, 'utf8')) as JoinInfo;
    process.stdout.write(
      `keelson agent --cluster ${name} --server ${server} --token ${token} --ca-hash ${caHash}\n`,
    );
  },
};
