/** The Container Runtime Interface (runtime.v1) for grpc-js: messages and method definitions. */
import { runtime } from '#generated/rpc/cri.js';
import { methodsOf } from './method.js';

const v1 = runtime.v1;

export import Cri = runtime.v1;

type Name = keyof typeof v1;

/** A method whose messages are named after it. */
function methods<const N extends readonly string[]>(service: string, names: N, options = {}) {
  const method = methodsOf(`runtime.v1.${service}`);
  const streams = new Set(['Exec', 'Attach', 'PortForward']);
  return Object.fromEntries(
    names.map((name) => {
      const request = v1[`${name}Request` as Name] as any;
      const response = v1[(streams.has(name) ? 'StreamResponse' : `${name}Response`) as Name] as any;
      return [name, method<any, any>(name, request, response, options)];
    }),
  ) as Record<N[number], ReturnType<typeof method<any, any>>>;
}

const event = methodsOf('runtime.v1.RuntimeService');

export const runtimeService = {
  ...methods('RuntimeService', [
    ...(['Version', 'Status', 'RuntimeConfig', 'UpdateRuntimeConfig'] as const),
    ...([
      'RunPodSandbox',
      'StopPodSandbox',
      'RemovePodSandbox',
      'PodSandboxStatus',
      'ListPodSandbox',
    ] as const),
    ...(['CreateContainer', 'StartContainer', 'StopContainer', 'RemoveContainer', 'ListContainers'] as const),
    ...(['ContainerStatus', 'UpdateContainerResources', 'ReopenContainerLog', 'ExecSync', 'Exec'] as const),
    ...(['Attach', 'PortForward', 'ContainerStats', 'ListContainerStats', 'PodSandboxStats'] as const),
    ...(['ListPodSandboxStats', 'UpdatePodSandboxResources'] as const),
  ] as const),
  GetContainerEvents: event<any, any>('GetContainerEvents', v1.GetEventsRequest, v1.ContainerEventResponse, {
    down: true,
  }),
  ...methods(
    'RuntimeService',
    ['StreamPodSandboxes', 'StreamContainers', 'StreamContainerStats', 'StreamPodSandboxStats'] as const,
    { down: true },
  ),
};

export const imageService = {
  ...methods('ImageService', [
    ...(['ListImages', 'ImageStatus', 'PullImage', 'RemoveImage', 'ImageFsInfo'] as const),
  ] as const),
  ...methods('ImageService', ['StreamImages'] as const, { down: true }),
};
