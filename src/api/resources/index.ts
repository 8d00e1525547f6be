/** The registry of all resources that the API serves. */
import { apiVersionOf, type KubeObject } from '../machinery/types.js';
import { mutatingAdmissionPolicies } from './admissionregistration/mutating-admission-policy.js';
import { mutatingAdmissionPolicyBindings } from './admissionregistration/mutating-admission-policy-binding.js';
import { mutatingWebhookConfigurations } from './admissionregistration/mutating-webhook-configuration.js';
import { validatingAdmissionPolicies } from './admissionregistration/validating-admission-policy.js';
import { validatingAdmissionPolicyBindings } from './admissionregistration/validating-admission-policy-binding.js';
import { validatingWebhookConfigurations } from './admissionregistration/validating-webhook-configuration.js';
import { customResourceDefinitions } from './apiextensions/custom-resource-definition.js';
import { apiServices } from './apiregistration/api-service.js';
import { controllerRevisions } from './apps/controller-revision.js';
import { daemonSets } from './apps/daemon-set.js';
import { deployments } from './apps/deployment.js';
import { replicaSets } from './apps/replica-set.js';
import { statefulSets } from './apps/stateful-set.js';
import { horizontalPodAutoscalers } from './autoscaling/horizontal-pod-autoscaler.js';
import { horizontalPodAutoscalersV1 } from './autoscaling/horizontal-pod-autoscaler-v1.js';
import { cronJobs } from './batch/cron-job.js';
import { jobs } from './batch/job.js';
import { certificateSigningRequests } from './certificates/certificate-signing-request.js';
import { leases } from './coordination/lease.js';
import { configMaps } from './core/config-map.js';
import { endpoints } from './core/endpoints.js';
import { events } from './core/event.js';
import { limitRanges } from './core/limit-range.js';
import { namespaces } from './core/namespace.js';
import { nodes } from './core/node.js';
import { persistentVolumes } from './core/persistent-volume.js';
import { persistentVolumeClaims } from './core/persistent-volume-claim.js';
import { pods } from './core/pod.js';
import { podTemplates } from './core/pod-template.js';
import { replicationControllers } from './core/replication-controller.js';
import { resourceQuotas } from './core/resource-quota.js';
import { secrets } from './core/secret.js';
import { services } from './core/service.js';
import { serviceAccounts } from './core/service-account.js';
import type { Resource } from './define.js';
import { endpointSlices } from './discovery/endpoint-slice.js';
import { eventsV1 } from './events/event.js';
import { flowSchemas } from './flowcontrol/flow-schema.js';
import { priorityLevelConfigurations } from './flowcontrol/priority-level-configuration.js';
import { ingresses } from './networking/ingress.js';
import { ingressClasses } from './networking/ingress-class.js';
import { ipAddresses } from './networking/ip-address.js';
import { networkPolicies } from './networking/network-policy.js';
import { serviceCidrs } from './networking/service-cidr.js';
import { runtimeClasses } from './node/runtime-class.js';
import { podDisruptionBudgets } from './policy/pod-disruption-budget.js';
import { clusterRoles } from './rbac/cluster-role.js';
import { clusterRoleBindings } from './rbac/cluster-role-binding.js';
import { roles } from './rbac/role.js';
import { roleBindings } from './rbac/role-binding.js';
import { deviceClasses } from './resource/device-class.js';
import { resourceClaims } from './resource/resource-claim.js';
import { resourceClaimTemplates } from './resource/resource-claim-template.js';
import { resourceSlices } from './resource/resource-slice.js';
import { priorityClasses } from './scheduling/priority-class.js';
import { csiDrivers } from './storage/csi-driver.js';
import { csiNodes } from './storage/csi-node.js';
import { csiStorageCapacities } from './storage/csi-storage-capacity.js';
import { storageClasses } from './storage/storage-class.js';
import { volumeAttachments } from './storage/volume-attachment.js';
import { volumeAttributesClasses } from './storage/volume-attributes-class.js';

export {
  apiServices,
  certificateSigningRequests,
  clusterRoleBindings,
  clusterRoles,
  configMaps,
  controllerRevisions,
  cronJobs,
  csiDrivers,
  csiNodes,
  csiStorageCapacities,
  customResourceDefinitions,
  daemonSets,
  deployments,
  deviceClasses,
  endpointSlices,
  endpoints,
  events,
  eventsV1,
  flowSchemas,
  horizontalPodAutoscalers,
  horizontalPodAutoscalersV1,
  ingressClasses,
  ingresses,
  ipAddresses,
  jobs,
  leases,
  limitRanges,
  mutatingAdmissionPolicies,
  mutatingAdmissionPolicyBindings,
  mutatingWebhookConfigurations,
  namespaces,
  networkPolicies,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  podDisruptionBudgets,
  pods,
  podTemplates,
  priorityClasses,
  priorityLevelConfigurations,
  replicaSets,
  replicationControllers,
  resourceClaims,
  resourceClaimTemplates,
  resourceQuotas,
  resourceSlices,
  roleBindings,
  roles,
  runtimeClasses,
  secrets,
  serviceAccounts,
  serviceCidrs,
  services,
  statefulSets,
  storageClasses,
  validatingAdmissionPolicies,
  validatingAdmissionPolicyBindings,
  validatingWebhookConfigurations,
  volumeAttachments,
  volumeAttributesClasses,
};

/** Every resource; the core group first, by name within a group, as discovery lists them. */
export const resources: Resource[] = [
  configMaps,
  endpoints,
  events,
  namespaces,
  nodes,
  pods,
  podTemplates,
  replicationControllers,
  secrets,
  serviceAccounts,
  services,
  persistentVolumes,
  persistentVolumeClaims,
  limitRanges,
  resourceQuotas,
  controllerRevisions,
  daemonSets,
  deployments,
  replicaSets,
  statefulSets,
  horizontalPodAutoscalers,
  horizontalPodAutoscalersV1,
  cronJobs,
  jobs,
  leases,
  endpointSlices,
  ingressClasses,
  ingresses,
  podDisruptionBudgets,
  priorityClasses,
  roles,
  clusterRoles,
  roleBindings,
  clusterRoleBindings,
  networkPolicies,
  ipAddresses,
  serviceCidrs,
  storageClasses,
  volumeAttributesClasses,
  csiDrivers,
  csiNodes,
  csiStorageCapacities,
  volumeAttachments,
  runtimeClasses,
  certificateSigningRequests,
  eventsV1,
  mutatingAdmissionPolicies,
  mutatingAdmissionPolicyBindings,
  mutatingWebhookConfigurations,
  validatingAdmissionPolicies,
  validatingAdmissionPolicyBindings,
  validatingWebhookConfigurations,
  flowSchemas,
  priorityLevelConfigurations,
  apiServices,
  deviceClasses,
  resourceClaims,
  resourceClaimTemplates,
  resourceSlices,
  customResourceDefinitions,
] as Resource<any>[];

const byPlural = new Map(resources.map((r) => [`${r.apiVersion}/${r.plural}`, r]));
const byKind = new Map(resources.map((r) => [`${r.apiVersion}/${r.kind}`, r]));

/** The resource that is served at this group ('' for core), version and plural name. */
export function findResource(group: string, version: string, plural: string): Resource | undefined {
  return byPlural.get(`${apiVersionOf(group, version)}/${plural}`);
}

/** The resource of objects with this `apiVersion` and `kind`. */
export function findKind(apiVersion: string, kind: string): Resource | undefined {
  return byKind.get(`${apiVersion}/${kind}`);
}

/** The resource of an object, by what it says of itself. */
export function resourceOf(object: KubeObject): Resource | undefined {
  return findKind(object.apiVersion, object.kind);
}
