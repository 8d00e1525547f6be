/** The API of a cluster of this machine, as its administrator. */
import { existsSync } from 'node:fs';
import { StatusError } from '../api/machinery/status.js';
import { Client, httpsTransport, loadKubeconfig, type Transport } from '../client/index.js';
import { CliError } from './error.js';
import type { ClusterPaths } from './paths.js';

export interface AdminApi {
  client: Client;
  transport: Transport;
  /** `https://host:port`. */
  server: string;
}

/** Runs `work` with a client. Throws CliError when there is no such cluster, it does not answer, or it refuses. */
export async function withAdmin<T>(paths: ClusterPaths, work: (api: AdminApi) => Promise<T>): Promise<T> {
  if (!existsSync(paths.adminKubeconfig))
    throw new CliError(
      `There is no cluster "${paths.name}" on this machine (${paths.adminKubeconfig} is missing).`,
    );
  const config = (await loadKubeconfig(paths.adminKubeconfig)).transport;
  const transport = httpsTransport(config);
  try {
    return await work({ client: new Client(transport), transport, server: config.server });
  } catch (error) {
    if (error instanceof CliError) throw error;
    if (error instanceof StatusError) throw new CliError(`The API server refused: ${error.message}.`);
    throw new CliError(
      `The API server of "${paths.name}" at ${config.server} does not answer (${(error as Error).message}): is the cluster up?`,
    );
  } finally {
    await transport.close();
  }
}
