/** `keelson image pull` and `keelson image push` */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Argv, CommandModule } from 'yargs';
import { keyring, parseAuths } from '../../agent/images/keyring.js';
import { parseReference } from '../../runtime/images/reference.js';
import { CliError } from '../error.js';
import { humanSize, type ImageOptions, withClient, withNode } from './image-common.js';

type Options = ImageOptions & { image: string; creds: string | undefined };

const withImage = (parser: Argv) =>
  withNode(parser).positional('image', { type: 'string', demandOption: true }).option('creds', {
    type: 'string',
    describe: "username:password [default: what ~/.docker/config.json has for the image's registry]",
  }) as never;

export const pullCommand: CommandModule<object, Options> = {
  command: 'pull <image>',
  describe: 'Pull an image from its registry',
  builder: withImage,
  handler: (options) =>
    withClient(options, async (client) => {
      const request = { reference: options.image, ...credentials(options) };
      for await (const { done, total, image } of client.pullImage(request))
        if (image) finish(image.tags?.join(', ') || `${image.id}`);
        else show(done, total);
    }),
};

export const pushCommand: CommandModule<object, Options> = {
  command: 'push <image>',
  describe: 'Push an image to the registry of its name',
  builder: withImage,
  handler: (options) =>
    withClient(options, async (client) => {
      const request = { reference: options.image, ...credentials(options) };
      for await (const { done, total, digest } of client.pushImage(request))
        if (digest) finish(`${options.image}@${digest}`);
        else show(done, total);
    }),
};

function credentials({ image, creds }: Options): { username?: string; password?: string } {
  if (creds === undefined) return fromDockerConfig(image);
  const colon = creds.indexOf(':');
  if (colon < 1) throw new CliError('--creds takes username:password.');
  return { username: creds.slice(0, colon), password: creds.slice(colon + 1) };
}

/** A name that is wrong is told by the node. */
function fromDockerConfig(image: string): { username?: string; password?: string } {
  try {
    const { auths = {} } = parseAuths(readFileSync(join(homedir(), '.docker', 'config.json'), 'utf8')) ?? {};
    const [found] = keyring([{ auths }], parseReference(image).name);
    return found ?? {};
  } catch {
    return {};
  }
}

function show(done: unknown, total: unknown): void {
  if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${bar(Number(done ?? 0), Number(total ?? 0))}`);
}

const finish = (line: string) => process.stdout.write(`${process.stdout.isTTY ? '\r\x1b[K' : ''}${line}\n`);

function bar(done: number, total: number): string {
  const width = 30;
  const filled = total > 0 ? Math.max(0, Math.min(width, Math.round((done / total) * width))) : 0;
  return `[${'='.repeat(filled)}${' '.repeat(width - filled)}] ${humanSize(done)} of ${humanSize(total)}`;
}
