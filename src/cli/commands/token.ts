/** `keelson token` */
import { existsSync, readFileSync } from 'node:fs';
import type { CommandModule } from 'yargs';
import { CliError } from '../error.js';
import { type ClusterOptions, clusterOptions } from '../options.js';
import { clusterPaths } from '../paths.js';

/** What an agent needs to join: kept by the server in `<data>/join.json`. */
export interface JoinInfo {
  /** `host:port` of the hub. */
  server: string;
  token: string;
  caHash: string;
}

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
      `keelson agent --name ${name} --server ${server} --token ${token} --ca-hash ${caHash}\n`,
    );
  },
};
