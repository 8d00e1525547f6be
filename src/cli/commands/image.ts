/** `keelson image …` */
import { resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import type { ImageInfo, ImageList } from '../../rpc/node.js';
import { CliError } from '../error.js';
import { buildCommand } from './image-build.js';
import { humanSize, type ImageOptions, withClient, withNode } from './image-common.js';
import { historyCommand, inspectCommand } from './image-inspect.js';
import { pruneCommand, saveCommand, tagCommand } from './image-manage.js';
import { pullCommand, pushCommand } from './image-transfer.js';

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
      .command(pushCommand)
      .command(listCommand)
      .command(tagCommand)
      .command(inspectCommand)
      .command(historyCommand)
      .command(removeCommand)
      .command(pruneCommand)
      .demandCommand(1),
  handler: () => undefined,
};
