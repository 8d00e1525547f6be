/** The agent's gRPC service for its own machine, on a unix socket: images. */
import { chmodSync, rmSync } from 'node:fs';
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import {
  type ImageInfo,
  type ImageList,
  type ImportImageRequest,
  type ListImagesRequest,
  nodeService,
  type PullImageRequest,
  type PullProgress,
  type RemoveImageReply,
  type RemoveImageRequest,
} from '../rpc/node.js';
import { type Image, ImageError, type ImageStore, type Runtime } from '../runtime/types.js';

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

/** Serves until `close()`; only root can open the socket. */
export async function serveLocalApi(
  socket: string,
  images: ImageStore,
  runtime: Runtime,
): Promise<{ close(): void }> {
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
    pullImage: (call: ServerWritableStream<PullImageRequest, PullProgress>) => pull(call, images),
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

async function pull(
  call: ServerWritableStream<PullImageRequest, PullProgress>,
  images: ImageStore,
): Promise<void> {
  const { reference, username, password } = call.request;
  const abort = new AbortController();
  call.on('cancelled', () => abort.abort());
  try {
    const image = await images.pull(reference ?? '', {
      ...(username ? { auth: { username, password: password ?? '' } } : {}),
      signal: abort.signal,
      onProgress: (done, total) => void call.write({ done, total }),
    });
    call.end(void call.write({ image: info(image) }));
  } catch (error) {
    call.emit('error', failure(error));
  }
}
