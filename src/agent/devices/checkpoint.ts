/** Which devices each container has, also for an agent that comes later: kept in the file that the kubelet keeps them in. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { allocationBytes, allocationOf, type ContainerAllocation } from '../../rpc/device-plugin.js';

export interface Entry {
  pod: string;
  container: string;
  resource: string;
  ids: string[];
  allocation: ContainerAllocation;
}

export const CHECKPOINT = 'kubelet_internal_checkpoint';

/** NUMA node −1: the kubelet's word for a device of none. */
const NO_NUMA = '-1';

export async function readCheckpoint(file: string): Promise<{ entries: Entry[]; resources: string[] }> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return { entries: [], resources: [] };
  const { PodDeviceEntries, RegisteredDevices } = JSON.parse(text).Data;
  const entries = (PodDeviceEntries ?? []).map((entry: any) => ({
    pod: entry.PodUID,
    container: entry.ContainerName,
    resource: entry.ResourceName,
    ids: Object.values(entry.DeviceIDs).flat(),
    allocation: allocationOf(Buffer.from(entry.AllocResp, 'base64')),
  }));
  return { entries, resources: Object.keys(RegisteredDevices ?? {}) };
}

export async function writeCheckpoint(
  file: string,
  entries: Entry[],
  registered: Record<string, string[]>,
): Promise<void> {
  const PodDeviceEntries = entries.map(({ pod, container, resource, ids, allocation }) => ({
    PodUID: pod,
    ContainerName: container,
    ResourceName: resource,
    DeviceIDs: { [NO_NUMA]: ids },
    AllocResp: Buffer.from(allocationBytes(allocation)).toString('base64'),
  }));
  const text = JSON.stringify({ Data: { PodDeviceEntries, RegisteredDevices: registered }, Checksum: 0 });
  await writeFile(`${file}.new`, text, { mode: 0o600 });
  await rename(`${file}.new`, file);
}
