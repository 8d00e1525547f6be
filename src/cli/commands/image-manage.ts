/** `keelson image tag|save|prune` */
import { resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import type { PruneImagesReply } from '../../rpc/node.js';
import { humanSize, type ImageOptions, withClient, withNode } from './image-common.js';

export const tagCommand: CommandModule<object, ImageOptions & { image: string; tag: string }> = {
  command: 'tag <image> <tag>',
  describe: 'Give an image one more name',
  builder: (parser) =>
    withNode(parser)
      .positional('image', { type: 'string', demandOption: true })
      .positional('tag', { type: 'string', demandOption: true, describe: 'The new name' }) as never,
  handler: (options) =>
    withClient(options, (client) =>
      client.call('tagImage', { reference: options.image, name: options.tag }).then(() => undefined),
    ),
};

export const saveCommand: CommandModule<object, ImageOptions & { images: string[]; output: string }> = {
  command: 'save <images..>',
  describe: 'Write images to an archive, for "import" and for other tools',
  builder: (parser) =>
    withNode(parser)
      .positional('images', { type: 'string', array: true, demandOption: true })
      .option('output', {
        alias: 'o',
        type: 'string',
        demandOption: true,
        describe: 'The tar file',
      }) as never,
  handler: (options) =>
    withClient(options, (client) =>
      client
        .call('saveImages', { references: options.images, path: resolve(options.output) })
        .then(() => undefined),
    ),
};

export const pruneCommand: CommandModule<object, ImageOptions & { all: boolean }> = {
  command: 'prune',
  describe: 'Remove images without a name, and what is kept of builds',
  builder: (parser) =>
    withNode(parser).option('all', {
      alias: 'a',
      type: 'boolean',
      default: false,
      describe: 'Also images that no container has',
    }) as never,
  handler: (options) =>
    withClient(options, async (client) => {
      const { images, freed } = await client.call<object, PruneImagesReply>('pruneImages', {
        all: options.all,
      });
      for (const image of images ?? []) process.stdout.write(`${image.tags?.join(', ') || image.id}\n`);
      process.stdout.write(`${humanSize(freed ?? 0)} freed\n`);
    }),
};
