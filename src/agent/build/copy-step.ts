/** COPY and ADD of a stage. */
import { join } from 'node:path';
import ignore from '@balena/dockerignore';
import { UnionView } from '../../runtime/images/union.js';
import { unpackArchive } from './archive.js';
import { keyOf } from './builder.js';
import { copyItems, digestOf, type RemoteSource } from './copy.js';
import { type Instruction, jsonForm } from './dockerfile.js';
import { modeChange } from './file-mode.js';
import { owner } from './owner.js';
import { download, isAddress, isRepository } from './remote.js';
import type { Say, StageBuilder } from './stage.js';
import { absolute } from './steps.js';
import { expandVariables, words } from './words.js';

const FLAGS: Record<string, string[]> = {
  COPY: ['from', 'chown', 'chmod', 'link', 'exclude', 'parents'],
  ADD: ['chown', 'chmod', 'link', 'exclude', 'checksum', 'unpack', 'keep-git-dir'],
};

/** @throws Error that says what is wrong. */
export async function copyInstruction(
  stage: StageBuilder,
  instruction: Instruction,
  say: Say,
): Promise<void> {
  const { name, text, heredocs } = instruction;
  const { build, config, expansion } = stage;
  const given = instruction.flags.map(([flag, value]) => [flag, words(value, expansion).join('')] as const);
  const flags = new Map(given);
  for (const flag of flags.keys())
    if (!FLAGS[name]!.includes(flag)) throw new Error(`unknown flag: --${flag}`);
  const isOn = (flag: string, otherwise: boolean) =>
    flags.has(flag) ? ['', 'true', '1'].includes(flags.get(flag)!) : otherwise;
  const paths = jsonForm(text) ?? words(text, expansion);
  const to = paths.pop();
  if (!to || paths.length === 0)
    throw new Error(`${name} requires at least two arguments: ${name} SOURCE… DESTINATION`);
  const isInline = (path: string) =>
    heredocs.some((doc) => path.replace(/^<<-?["']?|["']$/g, '') === doc.name && path.startsWith('<<'));
  const addresses = paths.filter((path) => isAddress(path) || isRepository(path));
  const source = await stage.source(flags.get('from'));
  const excluded = given.flatMap(([flag, value]) => (flag === 'exclude' ? [value] : []));
  const target = new UnionView(stage.folders);
  const chmod = flags.get('chmod');
  let archives = 0;
  await build.options.store.layers.inTemporary(async (folder) => {
    const remotes = await fetched(addresses, name, flags.get('checksum'), folder, build.options.signal);
    const items = await copyItems({
      ...{ source, target, to: absolute(to, config), remotes },
      from: paths.filter((path) => !isInline(path) && !addresses.includes(path)),
      inline: heredocs.map((doc) => ({
        name: doc.name,
        content: Buffer.from(doc.expand ? expandVariables(doc.content, expansion) : doc.content),
      })),
      owner: await owner(flags.get('chown'), target),
      mode: chmod ? modeChange(chmod) : undefined,
      excludes: exclusion(excluded),
      keepParents: isOn('parents', false),
      unpack: async (path, isRemote) =>
        name === 'ADD' && isOn('unpack', !isRemote)
          ? unpackArchive(path, join(folder, `archive-${archives++}`))
          : undefined,
    });
    const key = keyOf(stage.key, name, await digestOf(items));
    const options = instruction.flags.map(([flag, value]) => `--${flag}${value && `=${value}`} `).join('');
    await stage.layer(`${name} ${options}${text}`, key, say, (add) => add(items));
  });
}

/** `--exclude`: patterns as in .dockerignore, of paths in the folder that is copied. */
function exclusion(patterns: string[]): ((path: string) => boolean) | undefined {
  if (patterns.length === 0) return undefined;
  const filter = ignore.default().add(patterns.map((pattern) => pattern.replace(/^\/+/, '')));
  return (path) => filter.ignores(path);
}

/** Brings what addresses lead to into the folder. */
async function fetched(
  addresses: string[],
  instruction: string,
  checksum: string | undefined,
  folder: string,
  signal: AbortSignal,
): Promise<RemoteSource[]> {
  if (addresses.length && instruction === 'COPY')
    throw new Error('source can not be a URL for COPY: ADD takes addresses');
  if (checksum !== undefined && addresses.length !== 1)
    throw new Error('checksum can not be specified for more or fewer sources than one address');
  const found: RemoteSource[] = [];
  for (const [i, address] of addresses.entries()) {
    if (isRepository(address)) throw new Error('ADD takes no repositories: clone it in a RUN, or beforehand');
    const path = join(folder, `remote-${i}`);
    found.push({ ...(await download(address, path, checksum, signal)), path, address });
  }
  return found;
}
