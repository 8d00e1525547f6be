/** `keelson token` */
import { existsSync, readFileSync } from 'node:fs';
import type { CommandModule } from 'yargs';
import type { JoinInfo } from '../../server/control-plane.js';
import { CliError } from '../error.js';
import { type ClusterOptions, clusterOptions } from '../options.js';
import { clusterPaths } from '../paths.js';

export const tokenCommand: CommandModule<object, ClusterOptions> = {
  command: 'token',
  describe: 'Print the command that joins another machine to this cluster',
  builder: (parser) => clusterOptions(parser),
  handler: ({ name, dataDir }) => {
    const paths = clusterPaths(name, dataDir);
    if (!existsSync(paths.join))
      throw new CliError(`There is no cluster "${name}" on this machine (${paths.join} is missing).`);
    const { server, token, caHash } = JSON.parse(readFileSync(paths.join, 'utf8')) as JoinInfo;
    process.stdout.write(
      `keelson agent --cluster ${name} --server ${server} --token ${token} --ca-hash ${caHash}\n`,
    );
  },
};
