/**
 * What the cluster runs for itself, as the objects that other clusters run theirs by: the agents as a DaemonSet, the
 * control plane as a Deployment. They are processes of the machines, so that no pods stand for them.
 */
import type { DaemonSet, DaemonSetStatus, Deployment, DeploymentStatus, Node } from '#types';
import { timestamp } from '../../api/machinery/clock.js';

const NAMESPACE = 'kube-system';
export const AGENT = 'keelson-agent';
export const SERVER = 'keelson-server';
export const AGENT_KEY = `${NAMESPACE}/${AGENT}`;
export const SERVER_KEY = `${NAMESPACE}/${SERVER}`;

/** Whether the object of this key is one of those, which no pods are to be made for. */
export const isOwnWorkload = (key: string): boolean => key === AGENT_KEY || key === SERVER_KEY;

const DESCRIPTION = 'kubernetes.io/description';
const AGENT_TEXT = 'The agent is a process of each node, not a pod: this tells on how many nodes it works.';
const SERVER_TEXT = 'The control plane is a process of its machine, not a pod: this tells that it works.';

/** Metadata and selector, and a template that names the parts. */
function workload(name: string, text: string, image: string, parts: string[]) {
  const labels = { 'app.kubernetes.io/name': name };
  return {
    metadata: { name, namespace: NAMESPACE, labels, annotations: { [DESCRIPTION]: text } },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { name: '', labels },
        spec: { containers: parts.map((part) => ({ name: part, image })) },
      },
    },
  };
}

export const agentSet = (version: string): DaemonSet => ({
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  ...workload(AGENT, AGENT_TEXT, `keelson.dev/agent:${version}`, [
    'kubelet',
    'service-proxy',
    'cluster-dns',
    'ingress-controller',
  ]),
});

export function serverDeployment(version: string): Deployment {
  const parts = ['apiserver', 'controller-manager', 'scheduler'];
  const { metadata, spec } = workload(SERVER, SERVER_TEXT, `keelson.dev/server:${version}`, parts);
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec: { ...spec, replicas: 1 } };
}

const isReady = ({ status }: Node): boolean =>
  status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;

export function agentStatus({ metadata }: DaemonSet, nodes: readonly Node[]): DaemonSetStatus {
  const ready = nodes.filter(isReady).length;
  return {
    ...{ currentNumberScheduled: nodes.length, desiredNumberScheduled: nodes.length, numberMisscheduled: 0 },
    ...{ numberReady: ready, numberAvailable: ready, numberUnavailable: nodes.length - ready },
    updatedNumberScheduled: nodes.length,
    observedGeneration: metadata.generation ?? 0,
  };
}

/** It tells so itself, so that it works. */
export function serverStatus({ metadata, status }: Deployment, now: number): DeploymentStatus {
  const condition = (type: string, reason: string, message: string) =>
    status?.conditions?.find((known) => known.type === type) ?? {
      ...{ type, status: 'True', reason, message },
      lastTransitionTime: timestamp(now),
      lastUpdateTime: timestamp(now),
    };
  return {
    ...{ replicas: 1, readyReplicas: 1, availableReplicas: 1, updatedReplicas: 1 },
    observedGeneration: metadata.generation ?? 0,
    conditions: [
      condition('Available', 'MinimumReplicasAvailable', 'The control plane answers.'),
      condition('Progressing', 'NewReplicaSetAvailable', 'The control plane has started.'),
    ],
  };
}
