/** The agent's gRPC service for its own machine, on a unix socket: images. */
import { once } from 'node:events';
import { chmodSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import type { Clock } from '../api/machinery/clock.js';
import {
  type BuildImageRequest,
  type BuildProgress,
  type ImageInfo,
  type ImageList,
  type ImportImageRequest,
  type InspectImageReply,
  type InspectImageRequest,
  type ListImagesRequest,
  nodeService,
  type PruneImagesReply,
  type PruneImagesRequest,
  type PullImageRequest,
  type PullProgress,
  type PushImageRequest,
  type PushProgress,
  type RemoveImageReply,
  type RemoveImageRequest,
  type SaveImagesReply,
  type SaveImagesRequest,
  type TagImageRequest,
} from '../rpc/node.js';
import { isBuiltIn } from '../runtime/images/builtin.js';
import type { LocalImageStore } from '../runtime/images/index.js';
import { type Image, ImageError, type PullOptions, type Runtime } from '../runtime/types.js';

const CODES: Record<ImageError['code'], status> = {
  InvalidName: status.INVALID_ARGUMENT,
  NotFound: status.NOT_FOUND,
  Unauthorized: status.UNAUTHENTICATED,
  Unreachable: status.UNAVAILABLE,
  Corrupt: status.DATA_LOSS,
  Unsupported: status.UNIMPLEMENTED,
  Internal: status.INTERNAL,
};

const failure = (error: unknown) => ({
  code: error instanceof ImageError ? CODES[error.code] : status.INTERNAL,
  details: error instanceof Error ? error.message : String(error),
});

const info = ({ id, tags, digests, size }: Image): ImageInfo => ({ id, tags, digests, size });

/** A unary handler from an async function. */
const unary =
  <I, O>(work: (request: I) => Promise<O> | O) =>
  (call: ServerUnaryCall<I, O>, reply: sendUnaryData<O>): void => {
    Promise.resolve(call.request)
      .then(work)
      .then(
        (answer) => reply(null, answer),
        (error) => reply(failure(error)),
      );
  };

export interface LocalApiOptions {
  /** Path. */
  socket: string;
  images: LocalImageStore;
  runtime: Runtime;
  clock: Clock;
  /** Ids of the images that something uses. */
  inUse(): Promise<ReadonlySet<string>>;
}

/** Serves until `close()`; only root can open the socket. */
export async function serveLocalApi(options: LocalApiOptions): Promise<{ close(): void }> {
  const { socket, images, runtime } = options;
  const server = new Server();
  server.addService(nodeService, {
    listImages: unary<ListImagesRequest, ImageList>(() => ({ images: images.list().map(info) })),
    importImage: unary<ImportImageRequest, ImageList>(async ({ path, name }) => ({
      images: (await images.import(path ?? '', name || undefined)).map(info),
    })),
    removeImage: unary<RemoveImageRequest, RemoveImageReply>(async ({ reference }) => {
      refuseIfUsed(images.find(reference ?? ''), runtime);
      await images.remove(reference ?? '');
      return {};
    }),
    tagImage: unary<TagImageRequest, ImageList>(async ({ reference, name }) => ({
      images: [info(await images.tag(reference ?? '', name ?? ''))],
    })),
    inspectImage: unary<InspectImageRequest, InspectImageReply>(({ reference }) =>
      inspect(images, reference ?? ''),
    ),
    saveImages: unary<SaveImagesRequest, SaveImagesReply>(async ({ references, path }) => {
      const { saveImages } = await import('../runtime/images/save.js');
      await saveImages(images, references ?? [], path ?? '');
      return {};
    }),
    pruneImages: unary<PruneImagesRequest, PruneImagesReply>(({ all }) => prune(options, all ?? false)),
    pullImage: (call: ServerWritableStream<PullImageRequest, PullProgress>) => pull(call, images),
    pushImage: (call: ServerWritableStream<PushImageRequest, PushProgress>) => push(call, images),
    buildImage: (call: ServerWritableStream<BuildImageRequest, BuildProgress>) => build(call, options),
  });
  rmSync(socket, { force: true });
  await new Promise<void>((resolve, reject) =>
    server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    ),
  );
  chmodSync(socket, 0o600);
  return { close: () => server.forceShutdown() };
}

/** The last name of an image may not go while containers run from it. */
function refuseIfUsed(image: Image | undefined, runtime: Runtime): void {
  if (image === undefined || image.tags.length > 1) return;
  const user = runtime
    .sandboxes()
    .flatMap((sandbox) => sandbox.containers)
    .find((container) => container.imageId === image.id && container.state === 'running');
  if (user)
    throw new ImageError(
      'Internal',
      `${image.tags[0] ?? image.id} is in use by container ${user.name} (${user.id.slice(0, 12)}).`,
    );
}

const pull = (call: ServerWritableStream<PullImageRequest, PullProgress>, images: LocalImageStore) =>
  transfer(call, async (options) => ({
    image: info(await images.pull(call.request.reference ?? '', options)),
  }));

const push = (call: ServerWritableStream<PushImageRequest, PushProgress>, images: LocalImageStore) =>
  transfer(call, async (options) => ({ digest: await images.push(call.request.reference ?? '', options) }));

/** Tells how far `work` has come, and at last what it gave; ends it when the client goes. */
async function transfer<I extends PullImageRequest, O extends PullProgress>(
  call: ServerWritableStream<I, O>,
  work: (options: PullOptions) => Promise<object>,
): Promise<void> {
  const { username, password } = call.request;
  const abort = new AbortController();
  call.on('cancelled', () => abort.abort());
  try {
    const result = await work({
      ...(username ? { auth: { username, password: password ?? '' } } : {}),
      signal: abort.signal,
      onProgress: (done, total) => void call.write({ done, total } as O),
    });
    call.end(void call.write(result as O));
  } catch (error) {
    call.emit('error', failure(error));
  }
}

async function inspect(images: LocalImageStore, reference: string): Promise<InspectImageReply> {
  const image = images.find(reference);
  if (!image) throw new ImageError('NotFound', `image ${JSON.stringify(reference)} is not in the store`);
  const config = await images.blobs.read(image.id);
  const { images: records, layers } = images.state.current();
  const layerSizes = records[image.id]?.layers.map((layer) => layers[layer]?.size ?? 0);
  return { image: { ...info(image), layerSizes }, config: config?.toString('utf8') ?? '{}' };
}

/** Images without a name, or without a container; and all steps of builds that no image has. */
async function prune({ images, inUse }: LocalApiOptions, all: boolean): Promise<PruneImagesReply> {
  const used = await inUse();
  const before = images.layerBytes();
  const removed: Image[] = [];
  for (const image of images.list()) {
    if (used.has(image.id) || isBuiltIn(image) || (!all && image.tags.length + image.digests.length > 0))
      continue;
    await images.remove(image.id);
    removed.push(image);
  }
  const steps = await images.dropSteps(() => true);
  return { images: removed.map(info), steps, freed: before - images.layerBytes() };
}

async function build(
  call: ServerWritableStream<BuildImageRequest, BuildProgress>,
  { images, runtime, socket, clock }: LocalApiOptions,
): Promise<void> {
  const { context, dockerfile, arguments: given, target, tags, noCache, pull, secrets } = call.request;
  const abort = new AbortController();
  call.on('cancelled', () => abort.abort());
  try {
    const { buildImage } = await import('./build/builder.js');
    const image = await buildImage({
      ...{ store: images, runtime, logs: join(socket, '..', 'builds'), context: context ?? '' },
      dockerfile: dockerfile || undefined,
      ...{ arguments: given ?? {}, target: target || undefined, tags: tags ?? [] },
      ...{ noCache: noCache ?? false, pull: pull ?? false },
      secrets: new Map(
        Object.entries(secrets ?? {}).map(([id, value]) => [id, Buffer.from(value as Uint8Array)]),
      ),
      now: () => clock.now(),
      signal: abort.signal,
      output: (text) => void call.write({ output: Buffer.from(text) }),
    });
    if (call.writableNeedDrain) await once(call, 'drain');
    call.end(void call.write({ image: info(image) }));
  } catch (error) {
    call.emit('error', failure(error));
  }
}
