/** The services of storage drivers (CSI v1), for grpc-js. */
import { csi } from '#generated/rpc/csi.js';
import { methodsOf } from './method.js';

const v1 = csi.v1;

export type VolumeCapability = csi.v1.VolumeCapability.$Properties;
export type NodeInfo = csi.v1.NodeGetInfoResponse.$Properties;
export type NodeCapabilities = csi.v1.NodeGetCapabilitiesResponse.$Properties;
export type StageRequest = csi.v1.NodeStageVolumeRequest.$Properties;
export type UnstageRequest = csi.v1.NodeUnstageVolumeRequest.$Properties;
export type PublishRequest = csi.v1.NodePublishVolumeRequest.$Properties;
export type UnpublishRequest = csi.v1.NodeUnpublishVolumeRequest.$Properties;
export type ExpandRequest = csi.v1.NodeExpandVolumeRequest.$Properties;
export type ExpandResponse = csi.v1.NodeExpandVolumeResponse.$Properties;
export type StatsRequest = csi.v1.NodeGetVolumeStatsRequest.$Properties;
export type StatsResponse = csi.v1.NodeGetVolumeStatsResponse.$Properties;
type Empty = Record<string, never>;

export const AccessMode = v1.VolumeCapability.AccessMode.Mode;
export const UsageUnit = v1.VolumeUsage.Unit;
export const NodeCapability = v1.NodeServiceCapability.RPC.Type;

const node = methodsOf('csi.v1.Node');
export const csiNodeService = {
  nodeGetInfo: node<Empty, NodeInfo>('NodeGetInfo', v1.NodeGetInfoRequest, v1.NodeGetInfoResponse),
  nodeGetCapabilities: node<Empty, NodeCapabilities>(
    'NodeGetCapabilities',
    v1.NodeGetCapabilitiesRequest,
    v1.NodeGetCapabilitiesResponse,
  ),
  nodeStageVolume: node<StageRequest, Empty>(
    'NodeStageVolume',
    v1.NodeStageVolumeRequest,
    v1.NodeStageVolumeResponse,
  ),
  nodeUnstageVolume: node<UnstageRequest, Empty>(
    'NodeUnstageVolume',
    v1.NodeUnstageVolumeRequest,
    v1.NodeUnstageVolumeResponse,
  ),
  nodePublishVolume: node<PublishRequest, Empty>(
    'NodePublishVolume',
    v1.NodePublishVolumeRequest,
    v1.NodePublishVolumeResponse,
  ),
  nodeUnpublishVolume: node<UnpublishRequest, Empty>(
    'NodeUnpublishVolume',
    v1.NodeUnpublishVolumeRequest,
    v1.NodeUnpublishVolumeResponse,
  ),
  nodeExpandVolume: node<ExpandRequest, ExpandResponse>(
    'NodeExpandVolume',
    v1.NodeExpandVolumeRequest,
    v1.NodeExpandVolumeResponse,
  ),
  nodeGetVolumeStats: node<StatsRequest, StatsResponse>(
    'NodeGetVolumeStats',
    v1.NodeGetVolumeStatsRequest,
    v1.NodeGetVolumeStatsResponse,
  ),
};
