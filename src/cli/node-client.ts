/** Calls of the agent that runs on this machine, through its unix socket. */
import { existsSync } from 'node:fs';
import {
  type ClientReadableStream,
  credentials,
  makeClientConstructor,
  type ServiceError,
} from '@grpc/grpc-js';
import { type BuildProgress, nodeService, type PullProgress, type PushProgress } from '../rpc/node.js';
import { runningPid } from './daemon.js';
import { CliError } from './error.js';
import { localNodes } from './nodes.js';
import type { ClusterPaths } from './paths.js';

export interface NodeClient {
  /** A call with one answer. Rejects with CliError. */
  call<I, O>(
    method:
      | 'listImages'
      | 'importImage'
      | 'removeImage'
      | 'tagImage'
      | 'inspectImage'
      | 'pruneImages'
      | 'saveImages',
    request: I,
  ): Promise<O>;
  pushImage(request: object): AsyncIterable<PushProgress>;
  pullImage(request: object): AsyncIterable<PullProgress>;
  buildImage(request: object): AsyncIterable<BuildProgress>;
  close(): void;
}

/** The client of the named node, or of the only one. @throws CliError when no agent runs here. */
export function nodeClient(paths: ClusterPaths, nodeName?: string): NodeClient {
  const running = localNodes(paths).filter(
    (n) => (nodeName === undefined || n.node === nodeName) && runningPid(n.pid) !== undefined,
  );
  const node = running[0];
  if (node === undefined || !existsSync(node.adminSocket))
    throw new CliError(
      `No agent of cluster "${paths.name}" runs on this machine${nodeName ? ` as node ${nodeName}` : ''}: start one with "keelson up".`,
    );
  const Service = makeClientConstructor(nodeService as never, 'Node');
  const stub = new Service(`unix:${node.adminSocket}`, credentials.createInsecure()) as unknown as Record<
    string,
    (request: unknown, callback: (error: ServiceError | null, answer: unknown) => void) => unknown
  > & { close(): void };
  async function* answers<O>(method: string, request: object): AsyncIterable<O> {
    const stream = (stub[method] as unknown as (r: object) => ClientReadableStream<O>).call(stub, request);
    try {
      yield* stream as AsyncIterable<O>;
    } catch (error) {
      throw new CliError((error as ServiceError).details);
    } finally {
      stream.cancel();
    }
  }
  return {
    call: <I, O>(method: string, request: I) =>
      new Promise<O>((resolve, reject) =>
        stub[method]!.call(stub, request, (error, answer) =>
          error ? reject(new CliError(error.details)) : resolve(answer as O),
        ),
      ),
    pushImage: (request) => answers<PushProgress>('pushImage', request),
    pullImage: (request) => answers<PullProgress>('pullImage', request),
    buildImage: (request) => answers<BuildProgress>('buildImage', request),
    close: () => stub.close(),
  };
}
