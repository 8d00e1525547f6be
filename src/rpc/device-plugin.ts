/** The services of device plugins (v1beta1), for grpc-js. */
import { v1beta1 } from '#generated/rpc/deviceplugin.js';
import { methodsOf } from './method.js';

export const DEVICE_PLUGIN_VERSION = 'v1beta1';

export type RegisterRequest = v1beta1.RegisterRequest.$Properties;
export type PluginOptions = v1beta1.DevicePluginOptions.$Properties;
export type DeviceList = v1beta1.ListAndWatchResponse.$Properties;
export type PreferredRequest = v1beta1.PreferredAllocationRequest.$Properties;
export type PreferredResponse = v1beta1.PreferredAllocationResponse.$Properties;
export type AllocateRequest = v1beta1.AllocateRequest.$Properties;
export type AllocateResponse = v1beta1.AllocateResponse.$Properties;
export type ContainerAllocation = v1beta1.ContainerAllocateResponse.$Properties;
export type PreStartRequest = v1beta1.PreStartContainerRequest.$Properties;
type Empty = Record<string, never>;

const register = methodsOf('v1beta1.Registration');
/** What the agent serves. */
export const devicePluginRegistration = {
  register: register<RegisterRequest, Empty>('Register', v1beta1.RegisterRequest, v1beta1.Empty),
};

const plugin = methodsOf('v1beta1.DevicePlugin');
/** What plugins serve. */
export const devicePluginService = {
  getDevicePluginOptions: plugin<Empty, PluginOptions>(
    'GetDevicePluginOptions',
    v1beta1.Empty,
    v1beta1.DevicePluginOptions,
  ),
  listAndWatch: plugin<Empty, DeviceList>('ListAndWatch', v1beta1.Empty, v1beta1.ListAndWatchResponse, {
    down: true,
  }),
  getPreferredAllocation: plugin<PreferredRequest, PreferredResponse>(
    'GetPreferredAllocation',
    v1beta1.PreferredAllocationRequest,
    v1beta1.PreferredAllocationResponse,
  ),
  allocate: plugin<AllocateRequest, AllocateResponse>(
    'Allocate',
    v1beta1.AllocateRequest,
    v1beta1.AllocateResponse,
  ),
  preStartContainer: plugin<PreStartRequest, Empty>(
    'PreStartContainer',
    v1beta1.PreStartContainerRequest,
    v1beta1.PreStartContainerResponse,
  ),
};

/** A container's allocation as it is kept on disk. */
export const allocationBytes = (allocation: ContainerAllocation): Uint8Array =>
  v1beta1.ContainerAllocateResponse.encode(allocation).finish();

export const allocationOf = (bytes: Uint8Array): ContainerAllocation =>
  v1beta1.ContainerAllocateResponse.decode(bytes);
