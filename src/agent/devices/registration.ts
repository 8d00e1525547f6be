/** Serves `kubelet.sock`, where device plugins register themselves. */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import {
  DEVICE_PLUGIN_VERSION,
  devicePluginRegistration,
  type RegisterRequest,
} from '../../rpc/device-plugin.js';

const SOCKET = 'kubelet.sock';

/**
 * Removes the sockets of an earlier time, by which plugins know that they must register again. `register` takes a
 * resource and the path of the plugin's socket, or throws why not.
 */
export async function serveRegistration(
  dir: string,
  register: (resource: string, socket: string) => void,
): Promise<{ close(): void }> {
  await mkdir(dir, { recursive: true, mode: 0o750 });
  for (const entry of await readdir(dir, { withFileTypes: true }))
    if (entry.isSocket()) await rm(join(dir, entry.name), { force: true });
  const server = new Server();
  server.addService(devicePluginRegistration, {
    register(call: ServerUnaryCall<RegisterRequest, object>, reply: sendUnaryData<object>) {
      const { version, resourceName, endpoint } = call.request;
      try {
        if (version !== DEVICE_PLUGIN_VERSION)
          throw new Error(
            `requested API version ${JSON.stringify(version ?? '')} is not supported by kubelet. Supported version is ["${DEVICE_PLUGIN_VERSION}"]`,
          );
        if (!endpoint || endpoint.includes('/'))
          throw new Error(`the endpoint ${JSON.stringify(endpoint ?? '')} is no name of a socket`);
        register(resourceName ?? '', join(dir, endpoint));
        reply(null, {});
      } catch (error) {
        reply({ code: status.UNKNOWN, details: (error as Error).message });
      }
    },
  });
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${join(dir, SOCKET)}`, ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    );
  });
  return { close: () => server.forceShutdown() };
}
