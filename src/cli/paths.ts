/** Where a cluster's files are. */
import { join } from 'node:path';
import { CliError } from './error.js';

export interface ClusterPaths {
  name: string;
  /** `/var/lib/keelson/<cluster>`. */
  data: string;
  /** `/run/keelson/<cluster>`: sockets, pids. */
  run: string;
  /** What `up` settled on: ports and address ranges. */
  config: string;
  adminKubeconfig: string;
  join: string;
  images: string;
  imageAliases: string;
  registries: string;
}

/** @throws CliError when the name can't be part of a path, a link or a context. */
export function clusterPaths(name: string, dataDir?: string): ClusterPaths {
  if (!/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/.test(name))
    throw new CliError(
      `The cluster name "${name}" is not allowed: use lower-case letters, digits and dashes, at most 32.`,
    );
  const data = dataDir ?? join('/var/lib/keelson', name);
  const run = join('/run/keelson', name);
  return {
    name,
    data,
    run,
    config: join(data, 'cluster.json'),
    adminKubeconfig: join(data, 'admin.kubeconfig'),
    join: join(data, 'join.json'),
    images: join(data, 'images'),
    imageAliases: join(data, 'image-aliases.yaml'),
    registries: join(data, 'registries.yaml'),
  };
}
