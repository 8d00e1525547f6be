/** What a command of a build has mounted besides its layers. */
import { chmod, chown, copyFile, cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mountLayers } from '../../runtime/images/mount.js';
import { UnionView } from '../../runtime/images/union.js';
import { MNT_DETACH, native } from '../../runtime/native.js';
import type { Mount } from '../../runtime/types.js';
import { writeItems } from './archive.js';
import type { CopySource } from './context.js';
import { copyItems, digestOf } from './copy.js';
import type { MountSpec } from './mount-spec.js';
import type { StageBuilder } from './stage.js';
import { absolute } from './steps.js';

const NOSUID_NODEV = 6;

/** What of a mount decides whether a step is the same: contents of caches and secrets do not. */
export async function mountKey(stage: StageBuilder, mount: MountSpec): Promise<unknown> {
  if (mount.type !== 'bind') return mount;
  const source = await stage.source(mount.from);
  return [mount, source.key ?? (await digestOf(await itemsOf(source, mount.source)))];
}

const itemsOf = (source: CopySource, path: string) =>
  copyItems({ source, from: [path], inline: [], to: '/', target: new UnionView([]), owner: undefined });

/** Of one command. */
export class RunMounts {
  readonly mounts: Mount[] = [];
  /** `NAME=value` of secrets. */
  readonly env: string[] = [];
  readonly #undo: (() => unknown)[] = [];
  #count = 0;

  /** `folder`: for what is made. */
  constructor(
    private readonly stage: StageBuilder,
    private readonly folder: string,
  ) {}

  /** @throws Error that says what is missing. */
  async add(mount: MountSpec): Promise<void> {
    if (mount.type === 'secret') return this.#secret(mount);
    const source = await (mount.type === 'bind'
      ? this.#bind(mount)
      : mount.type === 'cache'
        ? this.#cache(mount)
        : this.#tmpfs(mount));
    this.#mount(source, mount);
  }

  #mount(source: string, { target, readOnly }: MountSpec): void {
    const path = absolute(target, this.stage.config);
    if (path === '/') throw new Error(`invalid mount target "${target}"`);
    this.mounts.push({ source, target: path, readOnly });
  }

  #place(): string {
    return join(this.folder, `mount-${this.#count++}`);
  }

  async #secret(mount: MountSpec): Promise<void> {
    const content = this.stage.build.options.secrets.get(mount.id);
    if (!content) {
      if (mount.required)
        throw new Error(`secret ${mount.id}: not found: give it with --secret id=${mount.id},src=FILE`);
      return;
    }
    if (mount.env) this.env.push(`${mount.env}=${content.toString('utf8')}`);
    if (!mount.target) return;
    const path = this.#place();
    await writeFile(path, content, { mode: 0o600 });
    await give(path, mount);
    this.#mount(path, mount);
  }

  async #tmpfs({ size }: MountSpec): Promise<string> {
    const path = this.#place();
    await mkdir(path);
    await native.mount('tmpfs', path, 'tmpfs', NOSUID_NODEV, `mode=1777${size ? `,size=${size}` : ''}`);
    this.#undo.push(() => native.umount(path, MNT_DETACH));
    return path;
  }

  async #cache(mount: MountSpec): Promise<string> {
    const { caches } = this.stage.build.options.store;
    const { path, isNew, release } = await caches.use(`${mount.from} ${mount.id}`, mount.sharing);
    this.#undo.push(release);
    if (!isNew) return path;
    await give(path, mount);
    if (!mount.from) return path;
    const filled = await this.#bind({ ...mount, readOnly: true });
    await cp(filled, path, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    return path;
  }

  /** Writes into it are lost. */
  async #bind(mount: MountSpec): Promise<string> {
    const source = await this.stage.source(mount.from);
    const found = await source.view.resolve(join('/', mount.source));
    const entry = await source.view.entry(found);
    if (!entry) throw new Error(`"${mount.source}" is not in ${source.name}`);
    if (!entry.stat.isDirectory()) return mount.readOnly ? entry.source : this.#copy(entry.source);
    const layers = source.isFiltered ? [await this.#filtered(source, mount.source)] : source.layers;
    const path = source.isFiltered ? '/' : found;
    if (mount.readOnly && layers.length === 1) return join(layers[0]!, path);
    return join(await this.#overlay(layers, mount.readOnly), path);
  }

  async #copy(file: string): Promise<string> {
    const path = this.#place();
    await copyFile(file, path);
    return path;
  }

  async #filtered(source: CopySource, path: string): Promise<string> {
    const folder = this.#place();
    await writeItems(await itemsOf(source, path), folder);
    return folder;
  }

  async #overlay(layers: string[], readOnly: boolean): Promise<string> {
    const path = this.#place();
    const [upper, work] = [`${path}.upper`, `${path}.work`];
    for (const folder of readOnly ? [path] : [path, upper, work]) await mkdir(folder);
    await mountLayers(path, layers, readOnly ? {} : { writable: { upper, work } });
    this.#undo.push(() => native.umount(path, MNT_DETACH));
    return path;
  }

  async close(): Promise<void> {
    for (const undo of this.#undo.reverse()) await undo();
  }
}

async function give(path: string, { uid, gid, mode }: MountSpec): Promise<void> {
  await chown(path, uid, gid);
  await chmod(path, mode);
}
