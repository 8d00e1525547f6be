/** One stage of a build: its config and layers, step by step. */
import { createReadStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { itemOf } from '../../runtime/images/changes.js';
import { decompressor } from '../../runtime/images/decompress.js';
import { parseConfig } from '../../runtime/images/manifest.js';
import type { CacheRecord } from '../../runtime/images/state.js';
import type { TarItem } from '../../runtime/images/tar-writer.js';
import { UnionView } from '../../runtime/images/union.js';
import { native } from '../../runtime/native.js';
import type { Image } from '../../runtime/types.js';
import { type Build, keyOf, split } from './builder.js';
import { documentOf, emptyDocument, type History, type ImageDocument } from './config.js';
import type { CopySource } from './context.js';
import { copyItems, digestOf } from './copy.js';
import { type Instruction, jsonForm } from './dockerfile.js';
import { owner } from './owner.js';
import { runStep } from './run.js';
import { absolute, configStep, shellOf } from './steps.js';
import { type Expansion, expandVariables, words } from './words.js';

export interface Stage {
  document: ImageDocument;
  /** Chain IDs, lowest first. */
  layers: string[];
  /** Their folders. */
  folders: string[];
  /** Tells all that it was made of. */
  key: string;
  created: string | undefined;
}

export class StageBuilder {
  #document = emptyDocument();
  #layers: string[] = [];
  #key = 'scratch';
  /** Of the newest layer: what changes no files has its date, so that the same build is the same image. */
  #created: string | undefined;
  readonly #arguments = new Map<string, string>();
  readonly #own = new Set<string>();

  constructor(
    private readonly build: Build,
    private readonly place: { name: string; index: number; count: number },
  ) {}

  async startFrom(image: Image): Promise<void> {
    const { store } = this.build.options;
    const text = await store.blobs.read(image.id);
    if (!text) throw new Error(`image ${image.id} is not whole: its config is missing`);
    const { created } = JSON.parse(text.toString('utf8'));
    this.#document = documentOf(text);
    if (this.#document.config.OnBuild?.length)
      throw new Error('the base image has ONBUILD triggers, which are not supported');
    this.#layers = store.state.current().images[image.id]!.layers;
    this.#key = image.id;
    this.#created = created;
  }

  continue(base: Stage): void {
    this.#document = structuredClone(base.document);
    this.#layers = base.layers;
    this.#key = base.key;
    this.#created = base.created;
  }

  result(): Stage {
    const document = { ...this.#document, created: this.#created ?? '1970-01-01T00:00:00Z' };
    return { document, layers: this.#layers, folders: this.#folders, key: this.#key, created: this.#created };
  }

  get #folders(): string[] {
    return this.#layers.map((layer) => this.build.options.store.layers.path(layer));
  }

  get #config() {
    return this.#document.config;
  }

  /** ENV wins over ARG. */
  get #expansion(): Expansion {
    const env = new Map((this.#config.Env ?? []).map((entry) => split(entry) as [string, string]));
    return { escape: this.build.file.escape, lookup: (name) => env.get(name) ?? this.#arguments.get(name) };
  }

  /** @throws Error that says what is wrong. */
  async step(instruction: Instruction, number: number): Promise<void> {
    const { name, text } = instruction;
    this.build.options.signal.throwIfAborted();
    const flags = instruction.flags.map(([flag, value]) => `--${flag}=${value} `).join('');
    const title = `[${this.place.name} ${number}/${this.place.count}] ${name} ${flags}${text}`;
    const say = (cached = false) => this.build.options.output(`${title}${cached ? ' (cached)' : ''}\n`);
    if (name === 'RUN') return this.#run(instruction, say);
    if (name === 'COPY' || name === 'ADD') return this.#copy(instruction, say);
    if (name === 'WORKDIR') return this.#workingFolder(text, say);
    say();
    if (name === 'ARG') return this.#argument(text);
    if (name === 'ONBUILD')
      throw new Error('ONBUILD is not supported: write its instruction where it is to run');
    const done = configStep(instruction, this.#config, this.#expansion, this.#own);
    if (!done) throw new Error(`unknown instruction: ${name}`);
    if (done.note) this.build.options.output(`${done.note}\n`);
    this.#document.config = done.config;
    this.#note(done.createdBy);
  }

  /** A step that changes no files. */
  #note(createdBy: string): void {
    this.#key = keyOf(this.#key, createdBy);
    this.#remember({ created_by: createdBy, empty_layer: true });
  }

  #remember(history: History): void {
    const created = this.#created ? { created: this.#created } : {};
    this.#document.history.push({ ...created, ...history });
  }

  #argument(text: string): void {
    for (const word of words(text, this.#expansion)) {
      const [name = '', given] = split(word);
      const value = this.build.args.declare(name, given);
      if (value !== undefined) this.#arguments.set(name, value);
    }
    this.#remember({ created_by: `ARG ${text}`, empty_layer: true });
  }

  async #workingFolder(text: string, say: (cached?: boolean) => void): Promise<void> {
    const path = absolute(words(text, this.#expansion).join(' '), this.#config).replace(/(.)\/$/, '$1');
    this.#document.config = { ...this.#config, WorkingDir: path };
    const createdBy = `WORKDIR ${path}`;
    const view = new UnionView(this.#folders);
    const resolved = await view.resolve(path);
    if (resolved === '/' || (await view.entry(resolved))?.stat.isDirectory()) {
      say();
      return this.#note(createdBy);
    }
    const items: TarItem[] = [{ path: resolved.slice(1), kind: 'folder', mode: 0o755, mtime: 0 }];
    for (let at = resolved.lastIndexOf('/'); at > 0; at = resolved.lastIndexOf('/', at - 1)) {
      const path = resolved.slice(1, at);
      const there = await view.entry(`/${path}`);
      items.unshift(
        (there && (await itemOf(path, there))) ?? { path, kind: 'folder', mode: 0o755, mtime: 0 },
      );
    }
    await this.#layer(createdBy, keyOf(this.#key, createdBy), say, (add) => add(items));
  }

  /** Takes the layer from the cache, or makes it. */
  async #layer(
    createdBy: string,
    key: string,
    say: (cached?: boolean) => void,
    make: (add: (items: AsyncIterable<TarItem> | Iterable<TarItem>) => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const { store, noCache, now, signal } = this.build.options;
    let record: CacheRecord | undefined = noCache ? undefined : await store.steps.find(key, now());
    // Steps of the same files may stand on layers that are others than these.
    if (record && record.layers.slice(0, -1).join() !== this.#layers.join()) record = undefined;
    say(record !== undefined);
    if (!record)
      await make(async (items) => {
        const created = new Date(now()).toISOString();
        record = await store.steps.add(key, this.#layers, items, { created, usedAt: now() }, signal);
      });
    this.#layers = record!.layers;
    this.#created = record!.created;
    this.#key = key;
    this.#document.rootfs.diff_ids.push(record!.diffId);
    this.#remember({ created_by: createdBy, comment: 'keelson' });
  }

  async #run(instruction: Instruction, say: (cached?: boolean) => void): Promise<void> {
    const { flags, text, heredocs } = instruction;
    const network = runNetwork(flags);
    const argv = jsonForm(text) ?? [...shellOf(this.#config), script(text, heredocs)];
    if (this.#layers.length === 0) throw new Error('there is nothing to run: the stage has no files');
    const args = [...this.#arguments].map(([name, value]) => `${name}=${value}`).sort();
    const env = this.#config.Env ?? [];
    const shown = args.length ? `|${args.length} ${args.join(' ')} ` : '';
    const key = keyOf(this.#key, 'RUN', argv, args, network);
    const { runtime, logs, store, output, signal } = this.build.options;
    await this.#layer(`RUN ${shown}${argv.join(' ')}`, key, say, async (add) => {
      const image = this.#unfinished();
      store.unfinished.set(image.id, image);
      const proxies = Object.entries(this.build.args.proxies).map(([name, value]) => `${name}=${value}`);
      try {
        await runStep(runtime, logs, {
          image,
          argv,
          env: [...proxies, ...args, ...env],
          network,
          signal,
          output,
          take: add,
        });
      } finally {
        store.unfinished.delete(image.id);
      }
    });
  }

  /** The layers so far, as an image for the runtime. */
  #unfinished(): Image {
    const { config } = parseConfig(Buffer.from(JSON.stringify(this.#document)), 'the build');
    return { id: `build:${this.#key}`, tags: [], digests: [], size: 0, config, layers: this.#folders };
  }

  async #copy(instruction: Instruction, say: (cached?: boolean) => void): Promise<void> {
    const { name, text, heredocs } = instruction;
    const flags = new Map(
      instruction.flags.map(([flag, value]) => [flag, words(value, this.#expansion).join('')]),
    );
    for (const flag of flags.keys())
      if (!['from', 'chown', 'chmod', 'link'].includes(flag)) throw new Error(`unknown flag: --${flag}`);
    const paths = jsonForm(text) ?? words(text, this.#expansion);
    const to = paths.pop();
    if (!to || paths.length === 0)
      throw new Error(`${name} requires at least two arguments: ${name} SOURCE… DESTINATION`);
    const isInline = (path: string) =>
      heredocs.some((doc) => path.replace(/^<<-?["']?|["']$/g, '') === doc.name && path.startsWith('<<'));
    if (paths.some((path) => /^(https?|git|ssh):\/\//.test(path)))
      throw new Error('ADD takes no addresses: fetch the file in a RUN, or beforehand');
    const from = flags.get('from');
    const source: CopySource = from ? await this.build.source(from, this.place.index) : this.build.context;
    const target = new UnionView(this.#folders);
    const mode = flags.get('chmod');
    if (mode && !/^[0-7]{3,4}$/.test(mode)) throw new Error(`--chmod takes an octal mode, not ${mode}`);
    await this.build.options.store.layers.inTemporary(async (folder) => {
      const items = await copyItems({
        ...{ source, target, to: absolute(to, this.#config) },
        from: paths.filter((path) => !isInline(path)),
        inline: heredocs.map((doc) => ({
          name: doc.name,
          content: Buffer.from(doc.expand ? expandVariables(doc.content, this.#expansion) : doc.content),
        })),
        owner: await owner(flags.get('chown'), target),
        mode: mode ? Number.parseInt(mode, 8) : undefined,
        unpack: async (path) => (name === 'ADD' ? unpackArchive(path, folder) : undefined),
      });
      const key = keyOf(this.#key, name, await digestOf(items));
      const options = instruction.flags.map(([flag, value]) => `--${flag}=${value} `).join('');
      await this.#layer(`${name} ${options}${text}`, key, say, (add) => add(items));
    });
  }
}

let archives = 0;

/** What is in a tar file, packed or not; undefined for any other file. */
async function unpackArchive(path: string, temporary: string): Promise<UnionView | undefined> {
  const raw = createReadStream(path, { highWaterMark: 1 << 18 });
  try {
    const unzip = await decompressor(raw);
    if (!unzip && !(await isTar(path))) return undefined;
    const folder = join(temporary, `archive-${archives++}`);
    await mkdir(folder);
    const unpacker = new native.LayerUnpacker(folder, []);
    const write = async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) await unpacker.write(chunk);
    };
    await pipeline([raw, ...(unzip ? [unzip] : []), write] as never);
    const { entries } = await unpacker.close();
    return entries > 0 ? new UnionView([folder]) : undefined;
  } catch (error) {
    // A packed file that is no tar is a file.
    if ((error as NodeJS.ErrnoException).code === 'EBADMSG') return undefined;
    throw error;
  } finally {
    raw.destroy();
  }
}

async function isTar(path: string): Promise<boolean> {
  const chunks = createReadStream(path, { start: 257, end: 261 });
  let magic = '';
  for await (const chunk of chunks) magic += (chunk as Buffer).toString('latin1');
  return magic === 'ustar';
}

function runNetwork(flags: [string, string][]): 'host' | 'none' {
  let network: 'host' | 'none' = 'host';
  for (const [flag, value] of flags) {
    if (flag !== 'network') throw new Error(`RUN --${flag} is not supported`);
    if (!['default', 'host', 'none'].includes(value)) throw new Error(`unsupported network mode "${value}"`);
    network = value === 'none' ? 'none' : 'host';
  }
  return network;
}

/** What the shell gets: the line with its here-documents, or of a line that is nothing else the document. */
function script(text: string, heredocs: Instruction['heredocs']): string {
  const [first] = heredocs;
  if (!first) return text;
  if (heredocs.length === 1 && /^<<-?(["']?)[\w.]+\1$/.test(text)) {
    if (first.content.startsWith('#!'))
      throw new Error('a here-document with an interpreter of its own is not supported');
    return first.content;
  }
  return `${text}\n${heredocs.map((doc) => `${doc.content}${doc.name}\n`).join('')}`;
}
