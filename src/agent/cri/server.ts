/**
 * The Container Runtime Interface on a unix socket that only root can open, for crictl and the like.
 * @see https://kubernetes.io/docs/concepts/containers/cri/
 */
import { once } from 'node:events';
import { chmodSync, rmSync } from 'node:fs';
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { imageService, runtimeService, Cri as V1 } from '../../rpc/cri.js';
import * as containers from './containers.js';
import { type CriDeps, type CriOptions, HANDLERS, RUNTIME_NAME } from './deps.js';
import { failure, plain } from './errors.js';
import { containerEvents } from './events.js';
import { attach, exec, execSync, portForward } from './exec.js';
import * as images from './images.js';
import { OwnSandboxes } from './own.js';
import * as sandboxes from './sandboxes.js';
import * as stats from './stats.js';
import { StreamServer } from './stream-server.js';

const VERSION = '0.1.0';

/** A unary handler from a function of the plain request. */
const unary =
  (work: (request: any) => unknown) =>
  (call: ServerUnaryCall<any, any>, reply: sendUnaryData<any>): void => {
    Promise.resolve(call.request)
      .then((request) => work(plain(request)))
      .then(
        (answer) => reply(null, answer ?? {}),
        (error) => reply(failure(error)),
      );
  };

/** How many items of a list come in one message. */
const PART = 100;

/** The items of a list in parts. */
const inParts =
  (list: (request: any) => Promise<unknown[]> | unknown[], field: string) =>
  (call: ServerWritableStream<any, any>): void => {
    const send = async () => {
      const givenUp = once(call, 'cancelled');
      const items = await list(plain(call.request));
      for (let at = 0; at < items.length && !call.cancelled; at += PART)
        if (!call.write({ [field]: items.slice(at, at + PART) }))
          await Promise.race([once(call, 'drain'), givenUp]);
      call.end();
    };
    send().catch((error) => call.emit('error', failure(error)));
  };

/** Serves until `close()`. */
export async function serveCri(options: CriOptions): Promise<{ close(): void }> {
  const streams = new StreamServer(options.logger);
  const deps: CriDeps = { ...options, streams, own: new OwnSandboxes(options.stateDir) };
  const server = new Server();
  server.addService(runtimeService, runtimeHandlers(deps));
  server.addService(imageService, {
    ListImages: unary(({ filter }) => images.listImages(deps, filter)),
    ImageStatus: unary((request) => images.imageStatus(deps, request)),
    PullImage: unary((request) => images.pullImage(deps, request)),
    RemoveImage: unary(({ image }) => images.removeImage(deps, image?.image ?? '')),
    ImageFsInfo: unary(() => images.imageFsInfo(deps)),
    StreamImages: inParts(({ filter }) => images.listImages(deps, filter).images ?? [], 'images'),
  });
  for (const sandbox of deps.own.list()) sandboxes.claimPorts(deps, sandbox);
  await streams.start();
  rmSync(options.socket, { force: true });
  await new Promise<void>((resolve, reject) =>
    server.bindAsync(`unix:${options.socket}`, ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    ),
  );
  chmodSync(options.socket, 0o600);
  return {
    close() {
      server.forceShutdown();
      streams.close();
    },
  };
}

function runtimeHandlers(deps: CriDeps) {
  return {
    Version: unary(() => ({
      ...{ version: '0.1.0', runtimeName: RUNTIME_NAME, runtimeVersion: VERSION, runtimeApiVersion: 'v1' },
    })),
    Status: unary(({ verbose }) => status(deps, verbose ?? false)),
    RuntimeConfig: unary(() => ({ linux: { cgroupDriver: V1.CgroupDriver.CGROUPFS } })),
    UpdateRuntimeConfig: unary(() => ({})),
    RunPodSandbox: unary((request) => sandboxes.runPodSandbox(deps, request)),
    StopPodSandbox: unary(({ podSandboxId = '' }) => sandboxes.stopPodSandbox(deps, podSandboxId)),
    RemovePodSandbox: unary(({ podSandboxId = '' }) => sandboxes.removePodSandbox(deps, podSandboxId)),
    PodSandboxStatus: unary(({ podSandboxId = '', verbose }) =>
      sandboxes.podSandboxStatus(deps, podSandboxId, verbose ?? false),
    ),
    ListPodSandbox: unary(({ filter }) => sandboxes.listPodSandboxes(deps, filter)),
    CreateContainer: unary((request) => containers.createContainer(deps, request)),
    StartContainer: unary(({ containerId = '' }) => containers.startContainer(deps, containerId)),
    StopContainer: unary(({ containerId = '', timeout = 0 }) =>
      containers.stopContainer(deps, containerId, timeout),
    ),
    RemoveContainer: unary(({ containerId = '' }) => containers.removeContainer(deps, containerId)),
    ListContainers: unary(({ filter }) => containers.listContainers(deps, filter)),
    ContainerStatus: unary(({ containerId = '', verbose }) =>
      containers.statusOf(deps, containerId, verbose ?? false),
    ),
    UpdateContainerResources: unary((request) => containers.updateResources(deps, request)),
    ReopenContainerLog: unary(({ containerId = '' }) => containers.reopenLog(deps, containerId)),
    ExecSync: unary((request) => execSync(deps, request)),
    Exec: unary((request) => exec(deps, request)),
    Attach: unary((request) => attach(deps, request)),
    PortForward: unary((request) => portForward(deps, request)),
    ContainerStats: unary(({ containerId = '' }) => stats.containerStats(deps, containerId)),
    ListContainerStats: unary(({ filter }) => stats.listContainerStats(deps, filter)),
    PodSandboxStats: unary(({ podSandboxId = '' }) => stats.podSandboxStats(deps, podSandboxId)),
    ListPodSandboxStats: unary(({ filter }) => stats.listPodSandboxStats(deps, filter)),
    UpdatePodSandboxResources: unary((request) => sandboxes.updatePodResources(deps, request)),
    StreamPodSandboxes: inParts(
      ({ filter }) => sandboxes.listPodSandboxes(deps, filter).items ?? [],
      'podSandboxes',
    ),
    StreamContainers: inParts(
      ({ filter }) => containers.listContainers(deps, filter).containers ?? [],
      'containers',
    ),
    StreamContainerStats: inParts(
      async ({ filter }) => (await stats.listContainerStats(deps, filter)).stats ?? [],
      'containerStats',
    ),
    StreamPodSandboxStats: inParts(
      async ({ filter }) => (await stats.listPodSandboxStats(deps, filter)).stats ?? [],
      'podSandboxStats',
    ),
    GetContainerEvents: (call: ServerWritableStream<any, any>) => containerEvents(call, deps),
  };
}

function status({ networkNotReady }: CriDeps, verbose: boolean) {
  const notReady = networkNotReady();
  return {
    status: {
      conditions: [
        { type: 'RuntimeReady', status: true },
        {
          ...{ type: 'NetworkReady', status: notReady === undefined },
          ...(notReady === undefined ? {} : { reason: 'NetworkPluginNotReady', message: notReady }),
        },
      ],
    },
    runtimeHandlers: HANDLERS.map((name) => ({
      name,
      features: { recursiveReadOnlyMounts: true, userNamespaces: true },
    })),
    features: { supplementalGroupsPolicy: true },
    ...(verbose ? { info: { config: JSON.stringify({ cgroupDriver: 'cgroupfs', version: VERSION }) } } : {}),
  };
}
