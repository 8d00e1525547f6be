/** The service that tells which devices containers have (pod resources v1), for grpc-js. */
import { v1 } from '#generated/rpc/podresources.js';
import { methodsOf } from './method.js';

export type ListResponse = v1.ListPodResourcesResponse.$Properties;
export type AllocatableResponse = v1.AllocatableResourcesResponse.$Properties;
export type GetRequest = v1.GetPodResourcesRequest.$Properties;
export type GetResponse = v1.GetPodResourcesResponse.$Properties;
export type PodResources = v1.PodResources.$Properties;
export type ContainerDevices = v1.ContainerDevices.$Properties;
export type DynamicResource = v1.DynamicResource.$Properties;
type Empty = Record<string, never>;

const lister = methodsOf('v1.PodResourcesLister');
export const podResourcesService = {
  list: lister<Empty, ListResponse>('List', v1.ListPodResourcesRequest, v1.ListPodResourcesResponse),
  getAllocatableResources: lister<Empty, AllocatableResponse>(
    'GetAllocatableResources',
    v1.AllocatableResourcesRequest,
    v1.AllocatableResourcesResponse,
  ),
  get: lister<GetRequest, GetResponse>('Get', v1.GetPodResourcesRequest, v1.GetPodResourcesResponse),
};
