/** A gRPC client of what other programs of the node serve on unix sockets. */
import {
  Client,
  type ClientReadableStream,
  credentials,
  Metadata,
  type MethodDefinition,
} from '@grpc/grpc-js';

/** Upstream's `csiTimeout`: a driver may mount a network file system meanwhile. */
const TIMEOUT_MS = 120_000;

/** Calls the services of one unix socket. Needs `close`. */
export class UnixClient {
  readonly #client: Client;

  constructor(socket: string) {
    // A connection of its own: who serves the socket now may not be who did before.
    const options = { 'grpc.use_local_subchannel_pool': 1 };
    this.#client = new Client(`unix:${socket}`, credentials.createInsecure(), options);
  }

  /** Rejects with a ServiceError, whose message is upstream's `rpc error: …`. */
  call<I, O>(method: MethodDefinition<I, O>, request: I, timeout = TIMEOUT_MS): Promise<O> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest<I, O>(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        new Metadata(),
        { deadline: Date.now() + timeout },
        (error, answer) => {
          if (error) reject(new RpcError(error.code, error.details));
          else resolve(answer!);
        },
      );
    });
  }

  /** Resolves when somebody serves the socket. Rejects after `timeout` milliseconds. */
  ready(timeout: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#client.waitForReady(Date.now() + timeout, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Opens a stream of answers; its end or error is the listener's to see. */
  stream<I, O>(method: MethodDefinition<I, O>, request: I): ClientReadableStream<O> {
    const { path, requestSerialize, responseDeserialize } = method;
    return this.#client.makeServerStreamRequest<I, O>(path, requestSerialize, responseDeserialize, request);
  }

  close(): void {
    this.#client.close();
  }
}

const CODES = [
  ...['OK', 'Canceled', 'Unknown', 'InvalidArgument', 'DeadlineExceeded', 'NotFound', 'AlreadyExists'],
  ...['PermissionDenied', 'ResourceExhausted', 'FailedPrecondition', 'Aborted', 'OutOfRange'],
  ...['Unimplemented', 'Internal', 'Unavailable', 'DataLoss', 'Unauthenticated'],
];

/** What a plugin refused, in the words of Go's gRPC. */
export class RpcError extends Error {
  constructor(
    readonly code: number,
    details: string,
  ) {
    super(`rpc error: code = ${CODES[code] ?? 'Unknown'} desc = ${details}`);
  }
}
