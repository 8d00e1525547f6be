/** The controllers of the control plane: `startControllers` runs them all. */
import { startAttachDetachController } from './attach-detach/index.js';
import { startBootstrapSigner, startTokenCleaner } from './bootstrap-tokens.js';
import { startCertificateSigner } from './certificate-signer.js';
import { startClusterRoleAggregation } from './cluster-role-aggregation.js';
import type { Controller, ControllersOptions } from './context.js';
import { startCronJobController } from './cronjob/index.js';
import { startDaemonSetController } from './daemonset/index.js';
import { startDeploymentController } from './deployment/index.js';
import { startDisruptionController } from './disruption/index.js';
import { startEndpointSliceController } from './endpoint-slice/index.js';
import { startEndpointSliceMirroring } from './endpoint-slice-mirroring/index.js';
import { startEndpointsController } from './endpoints/index.js';
import { startEphemeralVolumeController } from './ephemeral-volume.js';
import { startGarbageCollector } from './garbage-collector/index.js';
import { startHorizontalPodAutoscaler } from './hpa/index.js';
import { startIngressStatus } from './ingress-status.js';
import { startJobController } from './job/index.js';
import { startLoadBalancerController } from './load-balancer/index.js';
import { startLocalPathProvisioner } from './local-path/index.js';
import { startNamespaceController } from './namespace.js';
import { startNodeIpam } from './node-ipam.js';
import { startNodeLifecycle } from './node-lifecycle/index.js';
import { startOwnWorkloads } from './own-workloads/index.js';
import { startPersistentVolumeBinder } from './persistent-volume/index.js';
import { startPodGc } from './pod-gc.js';
import { startReplicaSetController, startReplicationController } from './replicaset/index.js';
import { startResourceClaimController } from './resource-claim/index.js';
import { startResourceQuotaController } from './resource-quota/index.js';
import { startRootCaPublisher } from './root-ca.js';
import { startServiceAccountController } from './service-account.js';
import { startServiceAccountTokens } from './service-account-tokens.js';
import { startIpAddressRepair, startServiceCidrController } from './service-cidr/index.js';
import { startStatefulSetController } from './statefulset/index.js';
import { startTtlAfterFinished } from './ttl-after-finished.js';
import { startValidatingAdmissionPolicyStatus } from './validating-admission-policy-status/index.js';
import {
  startAttributesClassProtection,
  startClaimProtection,
  startVolumeProtection,
} from './volume-protection.js';

export type { Controller, ControllersOptions } from './context.js';

const ALL: ((options: ControllersOptions) => Controller)[] = [
  startNodeIpam,
  startReplicaSetController,
  startReplicationController,
  startDeploymentController,
  startDaemonSetController,
  startStatefulSetController,
  startDisruptionController,
  startJobController,
  startCronJobController,
  startTtlAfterFinished,
  startHorizontalPodAutoscaler,
  startEndpointSliceController,
  startEndpointsController,
  startEndpointSliceMirroring,
  startServiceCidrController,
  startIpAddressRepair,
  startLoadBalancerController,
  startIngressStatus,
  startNamespaceController,
  startServiceAccountController,
  startServiceAccountTokens,
  startTokenCleaner,
  startBootstrapSigner,
  startRootCaPublisher,
  startNodeLifecycle,
  startPodGc,
  startGarbageCollector,
  startClusterRoleAggregation,
  startResourceQuotaController,
  startCertificateSigner,
  startValidatingAdmissionPolicyStatus,
  startPersistentVolumeBinder,
  startLocalPathProvisioner,
  startClaimProtection,
  startVolumeProtection,
  startAttributesClassProtection,
  startEphemeralVolumeController,
  startResourceClaimController,
  startAttachDetachController,
  startOwnWorkloads,
];

/**
 * Starts every controller. They ask `options.informers` for what they watch, so the caller starts the
 * informers afterwards. `close` stops them and resolves once no reconcile is running.
 */
export function startControllers(options: ControllersOptions): Controller {
  const running = ALL.map((start) => start(options));
  return {
    async close() {
      await Promise.all(running.map((controller) => controller.close()));
    },
  };
}
