/** RUN of a stage. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseConfig } from '../../runtime/images/manifest.js';
import type { Image, Mount } from '../../runtime/types.js';
import { keyOf } from './builder.js';
import { type Heredoc, type Instruction, jsonForm } from './dockerfile.js';
import { type MountSpec, parseMount } from './mount-spec.js';
import { runStep } from './run.js';
import { mountKey, RunMounts } from './run-mounts.js';
import type { Say, StageBuilder } from './stage.js';
import { shellOf } from './steps.js';
import { expandWord } from './words.js';

/** @throws Error that says what is wrong, or that the command failed. */
export async function runInstruction(stage: StageBuilder, instruction: Instruction, say: Say): Promise<void> {
  const { build, config, expansion } = stage;
  const { network, mounts } = readFlags(instruction.flags, (value) => expandWord(value, expansion));
  const { argv, file } = commandOf(instruction, shellOf(config));
  if (stage.folders.length === 0) throw new Error('there is nothing to run: the stage has no files');
  const args = [...stage.arguments].map(([name, value]) => `${name}=${value}`).sort();
  const shown = args.length ? `|${args.length} ${args.join(' ')} ` : '';
  const mounted = await Promise.all(mounts.map((mount) => mountKey(stage, mount)));
  const key = keyOf(
    ...[stage.key, 'RUN', argv, args, network],
    ...(mounted.length || file ? [mounted, file?.content] : []),
  );
  const { runtime, logs, store, output, signal } = build.options;
  await stage.layer(`RUN ${shown}${argv.join(' ')}`, key, say, (add) =>
    store.layers.inTemporary(async (folder) => {
      const image = unfinishedImage(stage);
      store.unfinished.set(image.id, image);
      const proxies = Object.entries(build.args.proxies).map(([name, value]) => `${name}=${value}`);
      const made = new RunMounts(stage, folder);
      try {
        for (const mount of mounts) await made.add(mount);
        await runStep(runtime, logs, {
          ...{ image, argv, network, signal, output, take: add },
          env: [...proxies, ...args, ...(config.Env ?? []), ...made.env],
          mounts: [...made.mounts, ...(file ? [await scriptMount(file, folder)] : [])],
        });
      } finally {
        await made.close();
        store.unfinished.delete(image.id);
      }
    }),
  );
}

/** The layers so far, as an image for the runtime. */
function unfinishedImage({ document, key, folders }: StageBuilder): Image {
  const { config } = parseConfig(Buffer.from(JSON.stringify(document)), 'the build');
  return { id: `build:${key}`, tags: [], digests: [], size: 0, config, layers: folders };
}

function readFlags(
  flags: [string, string][],
  expand: (value: string) => string,
): { network: 'host' | 'none'; mounts: MountSpec[] } {
  let network: 'host' | 'none' = 'host';
  const mounts: MountSpec[] = [];
  for (const [flag, value] of flags) {
    if (flag === 'mount') mounts.push(parseMount(expand(value)));
    else if (flag === 'network') {
      if (!['default', 'host', 'none'].includes(value))
        throw new Error(`unsupported network mode "${value}"`);
      network = value === 'none' ? 'none' : 'host';
    } else if (flag !== 'security' || value !== 'sandbox')
      throw new Error(`RUN --${flag}${value && `=${value}`} is not supported`);
  }
  return { network, mounts };
}

/** The command, and the here-document that is a program of its own, with where it is to be in the container. */
function commandOf(
  { text, heredocs }: Instruction,
  shell: string[],
): { argv: string[]; file?: { path: string; content: string } } {
  const exec = jsonForm(text);
  if (exec) return { argv: exec };
  const [first] = heredocs;
  if (!first) return { argv: [...shell, text] };
  if (heredocs.length > 1 || !isOnlyHeredoc(text))
    return { argv: [...shell, [text, ...heredocs.map(written)].join('\n')] };
  if (!first.content.startsWith('#!')) return { argv: [...shell, first.content] };
  const path = `/dev/pipes/${first.name}`;
  return { argv: [path], file: { path, content: first.content } };
}

const isOnlyHeredoc = (text: string): boolean => /^<<-?(["']?)[\w.]+\1$/.test(text);
const written = ({ content, name }: Heredoc): string => `${content}${name}\n`;

async function scriptMount(
  { path, content }: { path: string; content: string },
  folder: string,
): Promise<Mount> {
  const source = join(folder, 'script');
  await writeFile(source, content, { mode: 0o755 });
  return { source, target: path, readOnly: true };
}
