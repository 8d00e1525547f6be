/** `keelson image …` */
import { resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import type { ImageInfo, ImageList } from '../../rpc/node.js';
import { CliError } from '../error.js';
import { buildCommand } from './image-build.js';
import { humanSize, type ImageOptions, withClient, withNode } from './image-common.js';
import { historyCommand, inspectCommand } from './image-inspect.js';
import { pruneCommand, saveCommand, tagCommand } from './image-manage.js';

/** One row a tag, or one for an image without any. */
export function imageTable(images: ImageInfo[]): string {
  const rows = images.flatMap((image) =>
    (image.tags?.length ? image.tags : ['<none>']).map((tag) => [
      tag,
      (image.id ?? '').replace('sha256:', '').slice(0, 12),
      humanSize(image.size ?? 0),
    ]),
  );
  rows.sort((a, b) => a[0]!.localeCompare(b[0]!));
  rows.unshift(['IMAGE', 'ID', 'SIZE']);
  const widths = [0, 1].map((i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows
    .map(([name, id, size]) => `${name!.padEnd(widths[0]!)}   ${id!.padEnd(widths[1]!)}   ${size}\n`)
    .join('');
}

const listCommand: CommandModule<object, ImageOptions> = {
  command: 'list',
  aliases: 'ls',
  describe: "List the node's images",
  builder: withNode,
  handler: (options) =>
    withClient(options, async (client) => {
      const { images } = await client.call<object, ImageList>('listImages', {});
      process.stdout.write(imageTable(images ?? []));
    }),
};

const importCommand: CommandModule<object, ImageOptions & { archive: string; tag: string | undefined }> = {
  command: 'import <archive>',
  describe: 'Import a docker-archive or an OCI layout (tar or folder)',
  builder: (parser) =>
    withNode(parser)
      .positional('archive', { type: 'string', demandOption: true })
      .option('tag', { alias: 't', type: 'string', describe: "Name for the archive's one image" }) as never,
  handler: (options) =>
    withClient(options, async (client) => {
      if (Array.isArray(options.tag)) throw new CliError('--tag is given more than once.', 2);
      const { images } = await client.call<object, ImageList>('importImage', {
        path: resolve(options.archive),
        name: options.tag,
      });
      for (const image of images ?? []) process.stdout.write(`${image.tags?.join(', ') || image.id}\n`);
    }),
};

const pullCommand: CommandModule<object, ImageOptions & { image: string; creds: string | undefined }> = {
  command: 'pull <image>',
  describe: 'Pull an image from its registry',
  builder: (parser) =>
    withNode(parser)
      .positional('image', { type: 'string', demandOption: true })
      .option('creds', { type: 'string', describe: 'username:password' }) as never,
  handler: (options) =>
    withClient(options, async (client) => {
      const colon = options.creds?.indexOf(':') ?? -1;
      if (options.creds !== undefined && colon < 1) throw new CliError('--creds takes username:password.');
      const auth = options.creds && {
        username: options.creds.slice(0, colon),
        password: options.creds.slice(colon + 1),
      };
      const out = process.stdout;
      for await (const { done, total, image } of client.pullImage({
        reference: options.image,
        ...(auth || {}),
      })) {
        if (image) out.write(`${out.isTTY ? '\r\x1b[K' : ''}${image.tags?.join(', ') || image.id}\n`);
        else if (out.isTTY) out.write(`\r\x1b[K${bar(done ?? 0, total ?? 0)}`);
      }
    }),
};

function bar(done: number, total: number): string {
  const width = 30;
  const filled = total > 0 ? Math.round((done / total) * width) : 0;
  return `[${'='.repeat(filled)}${' '.repeat(width - filled)}] ${humanSize(done)} of ${humanSize(total)}`;
}

const removeCommand: CommandModule<object, ImageOptions & { image: string }> = {
  command: 'remove <image>',
  aliases: 'rm',
  describe: 'Remove an image',
  builder: (parser) => withNode(parser).positional('image', { type: 'string', demandOption: true }) as never,
  handler: (options) =>
    withClient(options, (client) => client.call('removeImage', { reference: options.image })),
};

export const imageCommand: CommandModule = {
  command: 'image <command>',
  describe: 'Build, pull, list and remove images of a node on this machine',
  builder: (parser) =>
    parser
      .command(buildCommand)
      .command(importCommand)
      .command(saveCommand)
      .command(pullCommand)
      .command(listCommand)
      .command(tagCommand)
      .command(inspectCommand)
      .command(historyCommand)
      .command(removeCommand)
      .command(pruneCommand)
      .demandCommand(1),
  handler: () => undefined,
};
