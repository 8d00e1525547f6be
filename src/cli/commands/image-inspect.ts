/** `keelson image inspect|history` */
import type { CommandModule } from 'yargs';
import type { InspectImageReply } from '../../rpc/node.js';
import { humanSize, type ImageOptions, withClient, withNode } from './image-common.js';

type Options = ImageOptions & { image: string };

const withImage = (parser: Parameters<typeof withNode>[0]) =>
  withNode(parser).positional('image', { type: 'string', demandOption: true }) as never;

interface Document {
  architecture?: string;
  os?: string;
  author?: string;
  created?: string;
  config?: object;
  rootfs?: { diff_ids?: string[] };
  history?: { created?: string; created_by?: string; empty_layer?: boolean }[];
}

export const inspectCommand: CommandModule<object, Options> = {
  command: 'inspect <image>',
  describe: "Print an image's names, config and layers as JSON",
  builder: withImage,
  handler: (options) =>
    withClient(options, async (client) => {
      const { image, config } = await client.call<object, InspectImageReply>('inspectImage', {
        reference: options.image,
      });
      const document = JSON.parse(config ?? '{}') as Document;
      const shown = {
        Id: image?.id,
        RepoTags: image?.tags ?? [],
        RepoDigests: image?.digests ?? [],
        Created: document.created,
        Architecture: document.architecture,
        Os: document.os,
        Size: image?.size,
        Config: document.config ?? {},
        RootFS: { Type: 'layers', Layers: document.rootfs?.diff_ids ?? [] },
      };
      process.stdout.write(`${JSON.stringify([shown], null, 2)}\n`);
    }),
};

export const historyCommand: CommandModule<object, Options> = {
  command: 'history <image>',
  describe: 'How an image was made, newest first',
  builder: withImage,
  handler: (options) =>
    withClient(options, async (client) => {
      const { image, config } = await client.call<object, InspectImageReply>('inspectImage', {
        reference: options.image,
      });
      const { history = [] } = JSON.parse(config ?? '{}') as Document;
      const sizes = [...(image?.layerSizes ?? [])];
      const rows = history.map(({ created, created_by = '', empty_layer }) => [
        created ?? '',
        humanSize(empty_layer ? 0 : (sizes.shift() ?? 0)),
        created_by,
      ]);
      rows.push(['CREATED', 'SIZE', 'CREATED BY']);
      rows.reverse();
      const widths = [0, 1].map((i) => Math.max(...rows.map((row) => row[i]!.length)));
      for (const [created, size, by] of rows)
        process.stdout.write(`${created!.padEnd(widths[0]!)}   ${size!.padEnd(widths[1]!)}   ${by}\n`);
    }),
};
