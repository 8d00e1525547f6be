/** The registry of all resources that the API serves. */
import { apiVersionOf, type KubeObject } from '../machinery/types.js';
import { controllerRevisions } from './apps/controller-revision.js';
import { daemonSets } from './apps/daemon-set.js';
import { deployments } from './apps/deployment.js';
import { replicaSets } from './apps/replica-set.js';
import { statefulSets } from './apps/stateful-set.js';
import { horizontalPodAutoscalers } from './autoscaling/horizontal-pod-autoscaler.js';
import { horizontalPodAutoscalersV1 } from './autoscaling/horizontal-pod-autoscaler-v1.js';
import { cronJobs } from './batch/cron-job.js';
import { jobs } from './batch/job.js';
import { leases } from './coordination/lease.js';
import { configMaps } from './core/config-map.js';
import { endpoints } from './core/endpoints.js';
import { events } from './core/event.js';
import { namespaces } from './core/namespace.js';
import { nodes } from './core/node.js';
import { pods } from './core/pod.js';
import { podTemplates } from './core/pod-template.js';
import { replicationControllers } from './core/replication-controller.js';
import { secrets } from './core/secret.js';
import { services } from './core/service.js';
import { serviceAccounts } from './core/service-account.js';
import type { Resource } from './define.js';
import { endpointSlices } from './discovery/endpoint-slice.js';
import { podDisruptionBudgets } from './policy/pod-disruption-budget.js';
import { priorityClasses } from './scheduling/priority-class.js';

export {
  configMaps,
  controllerRevisions,
  cronJobs,
  daemonSets,
  deployments,
  endpointSlices,
  endpoints,
  events,
  horizontalPodAutoscalers,
  horizontalPodAutoscalersV1,
  jobs,
  leases,
  namespaces,
  nodes,
  podDisruptionBudgets,
  pods,
  podTemplates,
  priorityClasses,
  replicaSets,
  replicationControllers,
  secrets,
  serviceAccounts,
  services,
  statefulSets,
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
  podDisruptionBudgets,
  priorityClasses,
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
