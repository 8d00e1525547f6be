/** The services of storage drivers (CSI v1) and how they register with a node, and a client for either. */
import { Client, credentials, Metadata, type MethodDefinition } from '@grpc/grpc-js';
import { csi } from '#generated/rpc/csi.js';
import { pluginregistration } from '#generated/rpc/pluginregistration.js';
import { methodsOf } from './method.js';

const v1 = csi.v1;
const registration = pluginregistration;

export type VolumeCapability = csi.v1.VolumeCapability.$Properties;
export type PluginInfo = pluginregistration.PluginInfo.$Properties;
export type RegistrationStatus = pluginregistration.RegistrationStatus.$Properties;
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
export const NodeCapability = v1.NodeServiceCapability.RPC.Type;

const register = methodsOf('pluginregistration.Registration');
export const registrationService = {
  getInfo: register<Empty, PluginInfo>('GetInfo', registration.InfoRequest, registration.PluginInfo),
  notifyRegistrationStatus: register<RegistrationStatus, Empty>(
    'NotifyRegistrationStatus',
    registration.RegistrationStatus,
    registration.RegistrationStatusResponse,
  ),
};

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

/** Upstream's `csiTimeout`: a driver may mount a network file system meanwhile. */
const TIMEOUT_MS = 120_000;

/** Calls the services of one unix socket. Needs `close`. */
export class UnixClient {
  readonly #client: Client;

  constructor(socket: string) {
    this.#client = new Client(`unix:${socket}`, credentials.createInsecure());
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
          if (error) reject(new CsiError(error.code, error.details));
          else resolve(answer!);
        },
      );
    });
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

/** What a driver refused, in the words of Go's gRPC. */
export class CsiError extends Error {
  constructor(
    readonly code: number,
    details: string,
  ) {
    super(`rpc error: code = ${CODES[code] ?? 'Unknown'} desc = ${details}`);
  }
}
