/** `keelson image build` */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import { CliError } from '../error.js';
import { type ImageOptions, withClient, withNode } from './image-common.js';

type Options = ImageOptions & {
  context: string;
  tag: string[];
  file: string | undefined;
  'build-arg': string[];
  secret: string[];
  target: string | undefined;
  cache: boolean;
  pull: boolean;
  quiet: boolean;
};

/** Options that may be given several times. */
export const BUILD_LISTS = ['t', 'tag', 'build-arg', 'buildArg', 'secret', 'images'];

export const buildCommand: CommandModule<object, Options> = {
  command: 'build <context>',
  describe: 'Build an image from a Dockerfile',
  builder: (parser) =>
    withNode(parser)
      .positional('context', { type: 'string', demandOption: true, describe: 'Folder that COPY takes from' })
      .option('tag', {
        alias: 't',
        type: 'string',
        array: true,
        nargs: 1,
        default: [],
        describe: 'Name for the image (repeated)',
      })
      .option('file', {
        alias: 'f',
        type: 'string',
        describe: "The Dockerfile; the context's own when absent",
      })
      .option('build-arg', {
        type: 'string',
        array: true,
        nargs: 1,
        default: [],
        describe: 'NAME=VALUE of an ARG (repeated)',
      })
      .option('secret', {
        type: 'string',
        array: true,
        nargs: 1,
        default: [],
        describe: 'id=ID,src=FILE or id=ID,env=VARIABLE for RUN --mount=type=secret (repeated)',
      })
      .option('target', { type: 'string', describe: 'The stage to build; the last when absent' })
      .option('cache', { type: 'boolean', default: true, describe: 'Take steps over from earlier builds' })
      .option('pull', { type: 'boolean', default: false, describe: 'Ask the registry for newer base images' })
      .option('quiet', {
        alias: 'q',
        type: 'boolean',
        default: false,
        describe: 'Print the id of the image only',
      }) as never,
  handler: (options) =>
    withClient(options, async (client) => {
      const request = {
        context: resolve(options.context),
        ...(options.file ? { dockerfile: resolve(options.file) } : {}),
        arguments: buildArguments(options['build-arg']),
        secrets: buildSecrets(options.secret),
        ...(options.target ? { target: options.target } : {}),
        ...{ tags: options.tag, noCache: !options.cache, pull: options.pull },
      };
      const out = process.stdout;
      for await (const { output, image } of client.buildImage(request)) {
        if (output?.length && !options.quiet) out.write(output);
        if (image && options.quiet) out.write(`${image.id}\n`);
        else if (image) out.write(`Built ${options.tag.length ? options.tag.join(', ') : image.id}\n`);
      }
    }),
};

/** A name alone has the value that it has here. */
function buildArguments(given: string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const word of given) {
    const equals = word.indexOf('=');
    const name = equals < 0 ? word : word.slice(0, equals);
    if (!/^\w+$/.test(name)) throw new CliError('--build-arg takes NAME=VALUE.');
    const value = equals < 0 ? process.env[name] : word.slice(equals + 1);
    if (value !== undefined) found[name] = value;
  }
  return found;
}

/** A file's or a variable's content; without either, of the variable or file that has the id's name. */
function buildSecrets(given: string[]): Record<string, Buffer> {
  const found: Record<string, Buffer> = {};
  for (const word of given) {
    const fields = new Map(word.split(',').map((field) => field.split(/=(.*)/s, 2) as [string, string]));
    const id = fields.get('id');
    if (!id) throw new CliError('--secret takes id=ID,src=FILE or id=ID,env=VARIABLE.');
    const file = fields.get('src') ?? fields.get('source');
    const variable = fields.get('env') ?? (file === undefined && id in process.env ? id : undefined);
    found[id] = variable === undefined ? fileOf(file ?? id) : Buffer.from(process.env[variable] ?? '');
  }
  return found;
}

function fileOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new CliError(`--secret: ${path} cannot be read (${(error as NodeJS.ErrnoException).code}).`);
  }
}
