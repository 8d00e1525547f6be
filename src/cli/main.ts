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
import { checkOptions } from './option-values.js';
import { LIST_OPTIONS } from './server-options.js';

/** One sentence for what the user can act on; the stack for what is our own fault. */
function report(error: unknown): never {
  if (error instanceof CliError) {
    process.stderr.write(`keelson: ${error.message}\n`);
    process.exit(error.exitCode);
  }
  const { code, message, stack, port, path } = error as NodeJS.ErrnoException & { port?: number };
  const known: Record<string, string> = {
    ENOSPC: `The disk is full: ${message}`,
    EADDRINUSE: `Port ${port} is taken by another program: stop it, or choose another.`,
  };
  // Of files that can't be read or written, the system's own words say enough.
  const failed = known[code ?? ''] ?? (path === undefined ? undefined : message);
  process.stderr.write(`keelson: ${failed ?? stack ?? error}\n`);
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

/** The help of the command that the line begins with, if it is one. */
function helpFor(message: string): string {
  const words = hideBin(process.argv);
  const flags = words.findIndex((word) => word.startsWith('-'));
  const command = message.startsWith('Unknown command') ? [] : words.slice(0, flags < 0 ? undefined : flags);
  return ['keelson', ...command, '--help'].join(' ');
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
    .check((argv, options) => checkOptions(argv, options, LISTS))
    .demandCommand(1, 'Name a command.')
    .strict()
    .strictCommands()
    .recommendCommands()
    .fail((message, error) => {
      if (error) throw error;
      const what = message.startsWith('Not enough non-option') ? 'An argument is missing.' : message;
      process.stderr.write(`${what}\nSee "${helpFor(message)}".\n`);
      process.exit(2);
    })
    .parseAsync();
} catch (error) {
  report(error);
}
