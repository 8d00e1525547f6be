/** The API of a cluster of this machine, as its administrator. */
import { StatusError } from '../api/machinery/status.js';
import { Client, httpsTransport, loadKubeconfig, type Transport } from '../client/index.js';
import { CliError } from './error.js';
import { type ClusterPaths, requireCluster } from './paths.js';

export interface AdminApi {
  client: Client;
  transport: Transport;
  /** `https://host:port`. */
  server: string;
}

/** Runs `work` with a client. Throws CliError when there is no such cluster, it does not answer, or it refuses. */
export async function withAdmin<T>(paths: ClusterPaths, work: (api: AdminApi) => Promise<T>): Promise<T> {
  requireCluster(paths, paths.adminKubeconfig);
  const config = (await loadKubeconfig(paths.adminKubeconfig)).transport;
  const transport = httpsTransport(config);
  try {
    return await work({ client: new Client(transport), transport, server: config.server });
  } catch (error) {
    if (error instanceof CliError) throw error;
    if (error instanceof StatusError) throw new CliError(`The API server refused: ${error.message}.`);
    throw new CliError(`Cluster "${paths.name}" does not answer: is it up? (${(error as Error).message})`);
  } finally {
    await transport.close();
  }
}
