/** The service of drivers of dynamic resource allocation, in the versions that are known, for grpc-js. */
import { k8s } from '#generated/rpc/dra.js';
import { methodsOf } from './method.js';

const messages = k8s.io.kubelet.pkg.apis.dra.v1;

export type DraClaim = k8s.io.kubelet.pkg.apis.dra.v1.Claim.$Properties;
export type DraDevice = k8s.io.kubelet.pkg.apis.dra.v1.Device.$Properties;
export type PrepareRequest = k8s.io.kubelet.pkg.apis.dra.v1.NodePrepareResourcesRequest.$Properties;
export type PrepareResponse = k8s.io.kubelet.pkg.apis.dra.v1.NodePrepareResourcesResponse.$Properties;
export type UnprepareRequest = k8s.io.kubelet.pkg.apis.dra.v1.NodeUnprepareResourcesRequest.$Properties;
export type UnprepareResponse = k8s.io.kubelet.pkg.apis.dra.v1.NodeUnprepareResourcesResponse.$Properties;

function serviceOf(version: string) {
  const method = methodsOf(`k8s.io.kubelet.pkg.apis.dra.${version}.DRAPlugin`);
  return {
    nodePrepareResources: method<PrepareRequest, PrepareResponse>(
      'NodePrepareResources',
      messages.NodePrepareResourcesRequest,
      messages.NodePrepareResourcesResponse,
    ),
    nodeUnprepareResources: method<UnprepareRequest, UnprepareResponse>(
      'NodeUnprepareResources',
      messages.NodeUnprepareResourcesRequest,
      messages.NodeUnprepareResourcesResponse,
    ),
  };
}

export type DraService = ReturnType<typeof serviceOf>;

/** By the name that drivers register with; the best first. */
export const draServices: Record<string, DraService> = {
  'v1.DRAPlugin': serviceOf('v1'),
  'v1beta1.DRAPlugin': serviceOf('v1beta1'),
};
