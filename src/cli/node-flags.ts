/** Options of a node with the names that upstream's kubelet gives them, for `agent` and for the nodes that `up` starts. */
import { resolve } from 'node:path';
import type { Argv } from 'yargs';
import { type NodeFlags, nodeSettings } from '../agent/node/settings.js';
import { CliError } from './error.js';

const FLAGS: Record<keyof NodeFlags, { type: 'string' | 'number' | 'boolean'; describe: string }> = {
  evictionHard: {
    type: 'string',
    describe:
      'Below these, pods are evicted at once: signal<value,… [default: memory.available<100Mi,nodefs.available<10%,nodefs.inodesFree<5%,imagefs.available<15%,imagefs.inodesFree<5%]',
  },
  evictionSoft: { type: 'string', describe: 'Below these, pods are evicted after a time: signal<value,…' },
  evictionSoftGracePeriod: { type: 'string', describe: 'That time: signal=1m30s,…' },
  evictionMinimumReclaim: {
    type: 'string',
    describe: 'How much more than a threshold is to be won: signal=value,…',
  },
  evictionPressureTransitionPeriod: {
    type: 'string',
    describe: 'How long a node keeps a pressure condition after its last sight [default: 5m0s]',
  },
  evictionMaxPodGracePeriod: {
    type: 'number',
    describe: 'Most seconds of grace of a pod that a soft threshold evicts [default: 0]',
  },
  imageGcHighThreshold: {
    type: 'number',
    describe: 'Percent of the disk from which unused images are removed; 100: never [default: 85]',
  },
  imageGcLowThreshold: { type: 'number', describe: 'Percent down to which they are [default: 80]' },
  minimumImageTtlDuration: { type: 'string', describe: 'How long an image stays at least [default: 2m]' },
  imageMaximumGcAge: {
    type: 'string',
    describe: 'After so long without use an image is removed in any case; 0s: never [default: 0s]',
  },
  kubeReserved: {
    type: 'string',
    describe: 'Kept back from pods for the agent: resource=quantity,… [default: cpu=100m,memory=100Mi]',
  },
  systemReserved: { type: 'string', describe: 'Kept back from pods for the system: resource=quantity,…' },
  maxPods: { type: 'number', describe: 'Pods that a node takes [default: 110]' },
  podMaxPids: { type: 'number', describe: 'Processes that a pod may have; -1: no limit [default: -1]' },
  allowedUnsafeSysctls: {
    type: 'string',
    describe: 'Sysctls beside the safe ones that pods may set: name or prefix*,…',
  },
  podManifestPath: {
    type: 'string',
    describe: "Folder or file with static pods [default: manifests in the node's data folder]",
  },
  containerLogMaxSize: {
    type: 'string',
    describe: "A container's log that is larger is rotated, within 10 s [default: 10Mi]",
  },
  containerLogMaxFiles: { type: 'number', describe: "Most files of a container's log [default: 5]" },
  shutdownGracePeriod: {
    type: 'string',
    describe: 'Time for pods to end in when the machine shuts down; 0s: none [default: 0s]',
  },
  shutdownGracePeriodCriticalPods: {
    type: 'string',
    describe: 'Part of that time which is for critical pods, after all others [default: 0s]',
  },
  shutdownGracePeriodByPodPriority: {
    type: 'string',
    describe: 'The same by priorities, lowest first: 0=30s,100000=10s,…',
  },
  serializeImagePulls: { type: 'boolean', describe: 'Pull one image at a time [default: false]' },
  maxParallelImagePulls: {
    type: 'number',
    describe: 'Most images that are pulled at once [default: no limit]',
  },
  imageCredentialProviderConfig: {
    type: 'string',
    describe: 'File with a CredentialProviderConfig: plugins that give credentials of registries',
  },
  imageCredentialProviderBinDir: { type: 'string', describe: 'Folder with the programs of these plugins' },
  imagePullCredentialsVerificationPolicy: {
    type: 'string',
    describe:
      'Images of which a pod has to show that it may have them: NeverVerify, NeverVerifyPreloadedImages, NeverVerifyAllowlistedImages or AlwaysVerify [default: NeverVerifyPreloadedImages]',
  },
  preloadedImagesVerificationAllowlist: {
    type: 'string',
    describe: 'Names, or starts of names that end with /*, for NeverVerifyAllowlistedImages',
  },
  cpuManagerPolicy: {
    type: 'string',
    describe: 'static: containers of Guaranteed pods that ask for whole CPUs have them alone [default: none]',
  },
  reservedCpus: {
    type: 'string',
    describe: 'CPUs that no container has alone, such as 0-1 [default: as many of the first as are reserved]',
  },
  cri: {
    type: 'boolean',
    describe: "Serve the Container Runtime Interface on cri.sock in the node's run folder [default: true]",
  },
};

const PATHS = ['podManifestPath', 'imageCredentialProviderConfig', 'imageCredentialProviderBinDir'] as const;

const kebab = (name: string): string => name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);

export function nodeFlags<T>(parser: Argv<T>): Argv<T & NodeFlags> {
  const options = Object.entries(FLAGS).map(([name, option]) => [kebab(name), option]);
  return parser.options(Object.fromEntries(options)) as unknown as Argv<T & NodeFlags>;
}

/** Those that were given, checked. @throws CliError for one that is wrong. */
export function givenFlags(options: NodeFlags): NodeFlags {
  const given = Object.fromEntries(
    Object.keys(FLAGS).flatMap((name) => {
      const value = options[name as keyof NodeFlags];
      return value === undefined ? [] : [[name, value]];
    }),
  ) as NodeFlags;
  // For an agent in another folder.
  for (const name of PATHS) if (given[name]) given[name] = resolve(given[name]);
  try {
    nodeSettings(given);
  } catch (error) {
    throw new CliError((error as Error).message, 2);
  }
  return given;
}

/** The same, for the command line of another process. */
export const flagArguments = (options: NodeFlags): string[] =>
  Object.entries(givenFlags(options)).map(([name, value]) => `--${kebab(name)}=${value}`);
