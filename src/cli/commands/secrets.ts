/** `keelson secrets rotate-key` */
import type { CommandModule } from 'yargs';
import { withAdmin } from '../api.js';
import { type ClusterOptions, clusterOptions } from '../options.js';
import { clusterPaths } from '../paths.js';

const rotateCommand: CommandModule<object, ClusterOptions> = {
  command: 'rotate-key',
  describe: 'Encrypt all Secrets at rest with a new key, and drop the old one',
  builder: (parser) => clusterOptions(parser),
  handler: async ({ name, dataDir }) => {
    const { key, rewritten } = await withAdmin(clusterPaths(name, dataDir), ({ transport }) =>
      transport.request<any>({ method: 'POST', path: '/keelson/rotate-encryption-key' }),
    );
    process.stdout.write(
      `Secrets are encrypted with the new key "${key}" (${rewritten} values rewritten).\n`,
    );
  },
};

export const secretsCommand: CommandModule = {
  command: 'secrets <command>',
  describe: 'Encryption of Secrets at rest',
  builder: (parser) => parser.command(rotateCommand).demandCommand(1, 'Name a command.'),
  handler: () => undefined,
};
