/** Options that several commands share. */
import type { Argv } from 'yargs';

export interface ClusterOptions {
  name: string;
  dataDir: string | undefined;
}

/** `--name` and `--data-dir`: which cluster. */
export function clusterOptions<T>(parser: Argv<T>): Argv<T & ClusterOptions> {
  return parser
    .option('name', { alias: 'n', type: 'string', default: 'default', describe: 'Name of the cluster' })
    .option('data-dir', {
      type: 'string',
      describe: 'Folder for its keys, database, images and pods [default: /var/lib/keelson/<name>]',
    }) as unknown as Argv<T & ClusterOptions>;
}
