/** How plugins of a node make themselves known on their sockets (plugin registration v1), for grpc-js. */
import { pluginregistration } from '#generated/rpc/pluginregistration.js';
import { methodsOf } from './method.js';

export type PluginInfo = pluginregistration.PluginInfo.$Properties;
export type RegistrationStatus = pluginregistration.RegistrationStatus.$Properties;
type Empty = Record<string, never>;

const register = methodsOf('pluginregistration.Registration');
export const registrationService = {
  getInfo: register<Empty, PluginInfo>(
    'GetInfo',
    pluginregistration.InfoRequest,
    pluginregistration.PluginInfo,
  ),
  notifyRegistrationStatus: register<RegistrationStatus, Empty>(
    'NotifyRegistrationStatus',
    pluginregistration.RegistrationStatus,
    pluginregistration.RegistrationStatusResponse,
  ),
};
