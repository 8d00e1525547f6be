/** One stage of a build: its config and layers, step by step. */
import { itemOf } from '../../runtime/images/changes.js';
import type { CacheRecord } from '../../runtime/images/state.js';
import type { TarItem } from '../../runtime/images/tar-writer.js';
import { UnionView } from '../../runtime/images/union.js';
import type { Image } from '../../runtime/types.js';
import { type Build, keyOf, split } from './builder.js';
import { documentOf, emptyDocument, type History, type ImageDocument } from './config.js';
import type { CopySource } from './context.js';
import { copyInstruction } from './copy-step.js';
import { type Instruction, parseDockerfile } from './dockerfile.js';
import { runInstruction } from './run-step.js';
import { absolute, configStep } from './steps.js';
import { type Expansion, words } from './words.js';

/** Says which step is taken, and whether from an earlier build. */
export type Say = (cached?: boolean) => void;

/** Makes a layer of what it is given. */
export type AddLayer = (items: AsyncIterable<TarItem> | Iterable<TarItem>) => Promise<void>;

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
  readonly arguments = new Map<string, string>();
  readonly #own = new Set<string>();

  constructor(
    readonly build: Build,
    readonly place: { name: string; index: number },
  ) {}

  async startFrom(image: Image): Promise<void> {
    const { store } = this.build.options;
    const text = await store.blobs.read(image.id);
    if (!text) throw new Error(`image ${image.id} is not whole: its config is missing`);
    const { created } = JSON.parse(text.toString('utf8'));
    this.#document = documentOf(text);
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

  /** What the base wants to be run first; it is for this stage alone. @throws BuildError of what is wrong in it. */
  takeTriggers(where: string): Instruction[] {
    const { OnBuild, ...config } = this.config;
    this.#document.config = config;
    return (OnBuild ?? []).flatMap((text) => parseDockerfile(text, where).instructions);
  }

  result(): Stage {
    const document = { ...this.#document, created: this.#created ?? '1970-01-01T00:00:00Z' };
    return { document, layers: this.#layers, folders: this.folders, key: this.#key, created: this.#created };
  }

  /** The files of a stage or an image by its name; without one those of the context. Rejects with BuildError. */
  async source(from: string | undefined): Promise<CopySource> {
    return from ? this.build.source(from, this.place.index) : this.build.context;
  }

  /** Tells all that the layers so far were made of. */
  get key(): string {
    return this.#key;
  }

  get document(): Readonly<ImageDocument> {
    return this.#document;
  }

  get folders(): string[] {
    return this.#layers.map((layer) => this.build.options.store.layers.path(layer));
  }

  get config() {
    return this.#document.config;
  }

  /** ENV wins over ARG. */
  get expansion(): Expansion {
    const env = new Map((this.config.Env ?? []).map((entry) => split(entry) as [string, string]));
    return { escape: this.build.file.escape, lookup: (name) => env.get(name) ?? this.arguments.get(name) };
  }

  /** `position`: where it stands, for who builds. @throws Error that says what is wrong. */
  async step(instruction: Instruction, position: string): Promise<void> {
    const { name, text } = instruction;
    this.build.options.signal.throwIfAborted();
    const flags = instruction.flags.map(([flag, value]) => `--${flag}${value && `=${value}`} `).join('');
    const title = `[${this.place.name} ${position}] ${name} ${flags}${text}`;
    const say = (cached = false) => this.build.options.output(`${title}${cached ? ' (cached)' : ''}\n`);
    if (name === 'RUN') return runInstruction(this, instruction, say);
    if (name === 'COPY' || name === 'ADD') return copyInstruction(this, instruction, say);
    if (name === 'WORKDIR') return this.#workingFolder(text, say);
    say();
    if (name === 'ARG') return this.#argument(text);
    const done = configStep(instruction, this.config, this.expansion, this.#own);
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
    for (const word of words(text, this.expansion)) {
      const [name = '', given] = split(word);
      const value = this.build.args.declare(name, given);
      if (value !== undefined) this.arguments.set(name, value);
    }
    this.#remember({ created_by: `ARG ${text}`, empty_layer: true });
  }

  async #workingFolder(text: string, say: Say): Promise<void> {
    const path = absolute(words(text, this.expansion).join(' '), this.config).replace(/(.)\/$/, '$1');
    this.#document.config = { ...this.config, WorkingDir: path };
    const createdBy = `WORKDIR ${path}`;
    const view = new UnionView(this.folders);
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
    await this.layer(createdBy, keyOf(this.#key, createdBy), say, (add) => add(items));
  }

  /** Takes the layer from the cache, or makes it. */
  async layer(
    createdBy: string,
    key: string,
    say: Say,
    make: (add: AddLayer) => Promise<void>,
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
}
