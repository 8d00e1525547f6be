/** What a node's owner decides about its resources: options of `keelson agent` with the names of upstream's kubelet. */
import { resolve } from 'node:path';
import type { ResourceList } from '#types';
import { canonicalQuantity, quantityMilli, quantityValue } from '../../api/machinery/quantity.js';
import { type CredentialProvider, readProviders } from '../images/credential-providers.js';
import { type Verification, verificationOf } from '../images/verification.js';
import { parseCpus } from './cpu/cpu-set.js';
import type { CpuSettings } from './cpu/manager.js';
import { duration, type EvictionSettings, evictionSettings } from './eviction/thresholds.js';
import { type ImageGcFlags, type ImageGcSettings, imageGcSettings } from './image-gc.js';
import { type ShutdownFlags, type ShutdownPeriod, shutdownPeriods } from './shutdown/groups.js';

/** Texts as they are given on the command line; absent means the default. */
export interface NodeFlags extends ImageGcFlags, ShutdownFlags {
  evictionHard?: string;
  evictionSoft?: string;
  evictionSoftGracePeriod?: string;
  evictionMinimumReclaim?: string;
  evictionPressureTransitionPeriod?: string;
  evictionMaxPodGracePeriod?: number;
  kubeReserved?: string;
  systemReserved?: string;
  maxPods?: number;
  podMaxPids?: number;
  allowedUnsafeSysctls?: string;
  cpuManagerPolicy?: string;
  reservedCpus?: string;
  cri?: boolean;
  podManifestPath?: string;
  containerLogMaxSize?: string;
  containerLogMaxFiles?: number;
  serializeImagePulls?: boolean;
  maxParallelImagePulls?: number;
  imageCredentialProviderConfig?: string;
  imageCredentialProviderBinDir?: string;
  imagePullCredentialsVerificationPolicy?: string;
  preloadedImagesVerificationAllowlist?: string;
}

export interface NodeSettings {
  eviction: EvictionSettings;
  imageGc: ImageGcSettings;
  /** Kept back from pods, by resource. */
  reserved: ResourceList[];
  maxPods: number;
  /** Processes of a pod; undefined: no limit. */
  podPids: number | undefined;
  /** Names, or starts of names that end with `*`. */
  unsafeSysctls: string[];
  /** Where static pods are; `manifests` in the node's data folder when absent. */
  manifests: string | undefined;
  /** How long pods have to end when the machine shuts down, lowest priority first; none: no time at all. */
  shutdown: ShutdownPeriod[];
  cpus: CpuSettings;
  /** When a container's log is rotated, in bytes, and how many files it has. */
  logs: { maxBytes: number; maxFiles: number };
  images: {
    /** Most pulls at once. */
    parallelPulls: number;
    providers: CredentialProvider[];
    verification: Verification;
  };
}

/** For the agent and the system. */
const DEFAULT_RESERVED = 'cpu=100m,memory=100Mi';
const DEFAULT_MAX_PODS = 110;

/** @throws Error that says which option is wrong, and how. */
export function nodeSettings(flags: NodeFlags = {}): NodeSettings {
  const { maxPods = DEFAULT_MAX_PODS, podMaxPids = -1 } = flags;
  if (!Number.isInteger(maxPods) || maxPods < 1) throw new Error('--max-pods takes a number of at least 1');
  const reserved = [
    reservation('kube-reserved', flags.kubeReserved ?? DEFAULT_RESERVED),
    reservation('system-reserved', flags.systemReserved ?? ''),
  ];
  return {
    eviction: evictionSettings({
      hard: flags.evictionHard,
      soft: flags.evictionSoft,
      softGracePeriod: flags.evictionSoftGracePeriod,
      minimumReclaim: flags.evictionMinimumReclaim,
      pressureTransitionPeriod: flags.evictionPressureTransitionPeriod,
      maxPodGracePeriod: flags.evictionMaxPodGracePeriod,
    }),
    imageGc: imageGcSettings(flags, duration),
    reserved,
    cpus: cpuSettings(flags, reserved),
    maxPods,
    podPids: podMaxPids > 0 ? podMaxPids : undefined,
    unsafeSysctls: (flags.allowedUnsafeSysctls ?? '').split(',').filter(Boolean),
    manifests: flags.podManifestPath ? resolve(flags.podManifestPath) : undefined,
    shutdown: shutdownPeriods(flags, duration),
    logs: logSettings(flags),
    images: imageSettings(flags),
  };
}

function imageSettings({
  serializeImagePulls = false,
  maxParallelImagePulls,
  imageCredentialProviderConfig: config,
  imageCredentialProviderBinDir: binDir,
  imagePullCredentialsVerificationPolicy: policy,
  preloadedImagesVerificationAllowlist: allowed = '',
}: NodeFlags): NodeSettings['images'] {
  if (maxParallelImagePulls !== undefined && !(maxParallelImagePulls >= 1))
    throw new Error('--max-parallel-image-pulls takes a number of at least 1');
  if (serializeImagePulls && maxParallelImagePulls !== undefined && maxParallelImagePulls > 1)
    throw new Error('--max-parallel-image-pulls cannot be larger than 1 with --serialize-image-pulls');
  if (!config !== !binDir)
    throw new Error('--image-credential-provider-config and --image-credential-provider-bin-dir go together');
  return {
    parallelPulls: serializeImagePulls ? 1 : (maxParallelImagePulls ?? Number.POSITIVE_INFINITY),
    providers: config && binDir ? readProviders(resolve(config), resolve(binDir)) : [],
    verification: verificationOf(policy, allowed.split(',').filter(Boolean)),
  };
}

function cpuSettings(
  { cpuManagerPolicy = 'none', reservedCpus }: NodeFlags,
  reserved: ResourceList[],
): CpuSettings {
  if (cpuManagerPolicy !== 'none' && cpuManagerPolicy !== 'static')
    throw new Error('--cpu-manager-policy is "none" or "static"');
  if (cpuManagerPolicy === 'none') return { policy: 'none', reserved: [] };
  const whole = Math.ceil(reserved.reduce((sum, list) => sum + quantityMilli(list['cpu']), 0) / 1000);
  let cpus: number[];
  try {
    cpus = reservedCpus ? parseCpus(reservedCpus) : Array.from({ length: whole }, (_, id) => id);
  } catch (error) {
    throw new Error(`--reserved-cpus: ${(error as Error).message}`);
  }
  if (cpus.length === 0)
    throw new Error('the static policy requires --system-reserved or --kube-reserved to keep CPU back');
  return { policy: 'static', reserved: cpus };
}

function logSettings({ containerLogMaxSize = '10Mi', containerLogMaxFiles = 5 }: NodeFlags) {
  if (!Number.isInteger(containerLogMaxFiles) || containerLogMaxFiles < 2)
    throw new Error('--container-log-max-files takes a number of at least 2');
  let maxBytes: number;
  try {
    maxBytes = quantityValue(containerLogMaxSize);
  } catch {
    throw new Error(`--container-log-max-size: "${containerLogMaxSize}" is not a quantity`);
  }
  if (maxBytes < 1) throw new Error('--container-log-max-size must be more than 0');
  return { maxBytes, maxFiles: containerLogMaxFiles };
}

function reservation(option: string, text: string): ResourceList {
  const list: ResourceList = {};
  for (const part of text.split(',').filter(Boolean)) {
    const [name = '', value = ''] = part.split('=');
    if (!['cpu', 'memory', 'ephemeral-storage', 'pid'].includes(name))
      throw new Error(`--${option}: cannot reserve ${JSON.stringify(name)} resource`);
    try {
      list[name] = canonicalQuantity(value);
    } catch {
      throw new Error(`--${option}: "${value}" of ${name} is not a quantity`);
    }
  }
  return list;
}
