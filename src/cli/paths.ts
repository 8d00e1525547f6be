/** Where a cluster's files are. */
import { accessSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
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
  const run = join('/run/keelson', name);
  const data =
    dataDir === undefined ? (usedDataDir(run) ?? join('/var/lib/keelson', name)) : resolve(dataDir);
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

/** Where a cluster's data is, kept in its run folder: later commands find it without `--data-dir`. */
export const dataDirFile = (run: string): string => join(run, 'data-dir');

function usedDataDir(run: string): string | undefined {
  try {
    return readFileSync(dataDirFile(run), 'utf8');
  } catch {
    return undefined;
  }
}

/** @throws CliError when there is no such cluster, or it isn't for this user to see; `file` is one of those it has. */
export function requireCluster({ name }: ClusterPaths, file: string): void {
  try {
    accessSync(file);
  } catch (error) {
    throw new CliError(
      (error as NodeJS.ErrnoException).code === 'EACCES'
        ? "Clusters of this machine are root's to see: run this with sudo, or as root."
        : `There is no cluster "${name}" on this machine: make one with "keelson up".`,
    );
  }
}
