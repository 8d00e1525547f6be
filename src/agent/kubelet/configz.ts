/** The node's settings in the form of upstream's KubeletConfiguration; what has no counterpart here is left out. */
import { join } from 'node:path';
import { formatCpus } from '../node/cpu/cpu-set.js';
import type { EndpointDeps } from './answers.js';

export function configz({ node: { settings, dataDir } }: EndpointDeps) {
  const { eviction, reserved, maxPods, podPids, unsafeSysctls } = settings;
  const thresholds = (hard: boolean) =>
    Object.fromEntries(
      eviction.thresholds
        .filter(({ graceMs }) => (graceMs === 0) === hard)
        .map(({ signal, value }) => [signal, 'share' in value ? `${value.share * 100}%` : value.quantity]),
    );
  return {
    kubeletconfig: {
      kind: 'KubeletConfiguration',
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      staticPodPath: settings.manifests ?? join(dataDir, 'manifests'),
      containerLogMaxSize: `${settings.logs.maxBytes}`,
      containerLogMaxFiles: settings.logs.maxFiles,
      serializeImagePulls: settings.images.parallelPulls === 1,
      ...(Number.isFinite(settings.images.parallelPulls)
        ? { maxParallelImagePulls: settings.images.parallelPulls }
        : {}),
      enableServer: true,
      port: 0,
      cgroupDriver: 'cgroupfs',
      cgroupsPerQOS: true,
      enforceNodeAllocatable: ['pods'],
      failSwapOn: false,
      nodeStatusReportFrequency: '5m0s',
      nodeStatusUpdateFrequency: '10s',
      nodeLeaseDurationSeconds: 40,
      maxPods,
      cpuManagerPolicy: settings.cpus.policy,
      ...(settings.cpus.reserved.length > 0
        ? { reservedSystemCPUs: formatCpus(settings.cpus.reserved) }
        : {}),
      shutdownGracePeriodByPodPriority: settings.shutdown.map(({ priority, seconds }) => ({
        priority,
        shutdownGracePeriodSeconds: seconds,
      })),
      podPidsLimit: podPids ?? -1,
      allowedUnsafeSysctls: unsafeSysctls,
      evictionHard: thresholds(true),
      evictionSoft: thresholds(false),
      kubeReserved: reserved[0] ?? {},
      systemReserved: reserved[1] ?? {},
    },
  };
}
