#!/usr/bin/env -S node --max-semi-space-size=4
/** The `keelson` command: one file a command in `commands/`. */
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { agentCommand } from './commands/agent.js';
import { dashboardCommand } from './commands/dashboard.js';
import { downCommand } from './commands/down.js';
import { imageCommand } from './commands/image.js';
import { BUILD_LISTS } from './commands/image-build.js';
import { kubeconfigCommand } from './commands/kubeconfig.js';
import { nodeCommand } from './commands/node.js';
import { secretsCommand } from './commands/secrets.js';
import { serverCommand } from './commands/server.js';
import { statusCommand } from './commands/status.js';
import { tokenCommand } from './commands/token.js';
import { upCommand } from './commands/up.js';
import { userCommand } from './commands/user.js';
import { versionCommand } from './commands/version.js';
import { CliError } from './error.js';
import { LIST_OPTIONS } from './server-options.js';

/** One sentence for what the user can act on; the stack for what is our own fault. */
function report(error: unknown): never {
  if (error instanceof CliError) {
    process.stderr.write(`keelson: ${error.message}\n`);
    process.exit(error.exitCode);
  }
  const { code, message, stack, port } = error as NodeJS.ErrnoException & { port?: number };
  const known: Record<string, string> = {
    ENOSPC: `The disk is full: ${message}`,
    EADDRINUSE: `Port ${port} is taken by another program: stop it, or choose another.`,
  };
  process.stderr.write(`keelson: ${known[code ?? ''] ?? stack ?? error}\n`);
  process.exit(1);
}

/** Options that may be given several times. */
const LISTS = new Set([
  '_',
  'labels',
  'taints',
  'tls-san',
  'tlsSan',
  'group',
  ...BUILD_LISTS,
  ...LIST_OPTIONS,
]);

function refuseRepeats(argv: Record<string, unknown>): true {
  for (const [option, value] of Object.entries(argv))
    if (Array.isArray(value) && !LISTS.has(option))
      throw new CliError(`--${option} is given more than once.`, 2);
  return true;
}

process.on('unhandledRejection', report);
// Who reads the output may go ("keelson down | head"): the work is done nevertheless.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });

try {
  await yargs(hideBin(process.argv))
    .scriptName('keelson')
    .usage('$0 <command>\n\nA Kubernetes-compatible cluster that runs pods directly on Linux.')
    .command(upCommand)
    .command(downCommand)
    .command(statusCommand)
    .command(dashboardCommand)
    .command(serverCommand)
    .command(agentCommand)
    .command(nodeCommand)
    .command(tokenCommand)
    .command(userCommand)
    .command(secretsCommand)
    .command(kubeconfigCommand)
    .command(imageCommand)
    .command(versionCommand)
    .completion('completion', 'Print a completion script for your shell')
    .version(false)
    .help()
    .alias('h', 'help')
    .check(refuseRepeats)
    .demandCommand(1, 'Name a command.')
    .strict()
    .strictCommands()
    .recommendCommands()
    .fail((message, error, parser) => {
      if (error) throw error;
      process.stderr.write(`${message}\nSee "keelson --help".\n`);
      void parser;
      process.exit(2);
    })
    .parseAsync();
} catch (error) {
  report(error);
}
