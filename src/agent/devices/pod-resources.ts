/**
 * Serves `pod-resources/kubelet.sock`, where exporters of metrics ask which devices containers have.
 * @see https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/#monitoring-device-plugin-resources
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import type { Container, Pod } from '#types';
import {
  type ContainerDevices,
  type DynamicResource,
  type GetRequest,
  type GetResponse,
  type PodResources,
  podResourcesService,
} from '../../rpc/pod-resources.js';

export interface PodResourcesOptions {
  /** `<kubelet root>/pod-resources`. */
  dir: string;
  /** Those of the node that have not ended. */
  pods(): Pod[];
  devicesOf(pod: Pod, container: Container): ContainerDevices[];
  claimsOf(pod: Pod, container: Container): DynamicResource[];
  /** All that may be given. */
  allocatable(): ContainerDevices[];
}

export async function servePodResources(options: PodResourcesOptions): Promise<{ close(): void }> {
  const { dir, pods, allocatable } = options;
  await mkdir(dir, { recursive: true, mode: 0o750 });
  const socket = join(dir, 'kubelet.sock');
  await rm(socket, { force: true });
  const server = new Server();
  server.addService(podResourcesService, {
    list: (_: unknown, reply: sendUnaryData<object>) =>
      reply(null, { podResources: pods().map((pod) => resourcesOf(pod, options)) }),
    getAllocatableResources: (_: unknown, reply: sendUnaryData<object>) =>
      reply(null, { devices: allocatable() }),
    get: (call: ServerUnaryCall<GetRequest, GetResponse>, reply: sendUnaryData<GetResponse>) => {
      const { podName, podNamespace } = call.request;
      const pod = pods().find(
        ({ metadata }) => metadata.name === podName && metadata.namespace === podNamespace,
      );
      if (pod) reply(null, { podResources: resourcesOf(pod, options) });
      else reply({ code: status.UNKNOWN, details: `pod ${podName} in namespace ${podNamespace} not found` });
    },
  });
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    );
  });
  return { close: () => server.forceShutdown() };
}

/** Init containers are told of while they may run beside the others. */
function resourcesOf(pod: Pod, { devicesOf, claimsOf }: PodResourcesOptions): PodResources {
  const { metadata, spec } = pod;
  const sidecars = (spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  return {
    name: metadata.name,
    namespace: metadata.namespace ?? '',
    containers: [...sidecars, ...spec.containers].map((container) => ({
      name: container.name,
      devices: devicesOf(pod, container),
      dynamicResources: claimsOf(pod, container),
    })),
  };
}
