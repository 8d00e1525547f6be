/** What the controllers of Endpoints and EndpointSlices ask of Services and pods (upstream `endpointslice/util`, `endpoints/`). */
import type { Pod, Service, ServicePort } from '#types';
import { familyOf, type IpFamily } from '../../api/machinery/prefix.js';
import { type KubeObject, objectKey } from '../../api/machinery/types.js';
import { sameJson } from '../../api/machinery/validation.js';
import type { Informer } from '../../client/index.js';
import { isPodReady, isPodTerminal } from '../pods.js';

/** Labels and annotations that upstream's controllers write. */
export const LABEL = {
  serviceName: 'kubernetes.io/service-name',
  managedBy: 'endpointslice.kubernetes.io/managed-by',
  skipMirror: 'endpointslice.kubernetes.io/skip-mirror',
  headless: 'service.kubernetes.io/headless',
  endpointsManagedBy: 'endpoints.kubernetes.io/managed-by',
} as const;
export const TRIGGER_TIME = 'endpoints.kubernetes.io/last-change-trigger-time';

export const isHeadless = ({ spec }: Service): boolean => spec.clusterIP === 'None';

/** Services whose endpoints are found by their selector. */
export const hasSelector = ({ spec }: Service): boolean =>
  spec.type !== 'ExternalName' && spec.selector !== undefined;

/** As upstream's `labels.Set(selector).AsSelectorPreValidated()`: an empty one selects all. */
export function selects({ spec }: Service, labels: Record<string, string> | undefined): boolean {
  return Object.entries(spec.selector ?? {}).every(([key, value]) => labels?.[key] === value);
}

export function isPodEndpoint(pod: Pod, includeTerminating: boolean): boolean {
  if (isPodTerminal(pod) || !pod.status?.podIP) return false;
  return includeTerminating || pod.metadata.deletionTimestamp === undefined;
}

export const podIp = ({ status }: Pod, family: IpFamily): string | undefined =>
  [status?.podIP, ...(status?.podIPs ?? []).map(({ ip }) => ip)].find((ip) => ip && familyOf(ip) === family);

/** Of a Service that was made before there were families, that of its address. */
export const familiesOf = ({ spec }: Service): IpFamily[] =>
  spec.ipFamilies?.length ? (spec.ipFamilies as IpFamily[]) : [familyOf(spec.clusterIP ?? '')];

/** Its own name within the service's DNS domain. */
export function hostnameIn(pod: Pod, service: Service): string | undefined {
  const { hostname, subdomain } = pod.spec;
  return hostname && subdomain === service.metadata.name ? hostname : undefined;
}

/** The number of a Service's target port in a pod; undefined if the pod has no port of that name. */
export function targetPort(pod: Pod, port: ServicePort): number | undefined {
  const target = port.targetPort ?? port.port;
  if (typeof target === 'number') return target || port.port;
  const sidecars = (pod.spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  for (const { ports } of [...pod.spec.containers, ...sidecars])
    for (const { name, protocol, containerPort } of ports ?? [])
      if (name === target && (protocol ?? 'TCP') === (port.protocol ?? 'TCP')) return containerPort;
  return undefined;
}

/** Whether any endpoint of the pod may have changed. Most updates of pods are of no concern. */
export function endpointChanged(old: Pod, pod: Pod): boolean {
  const facts = ({ metadata, spec, status }: Pod) => [
    ...[metadata.deletionTimestamp !== undefined, metadata.uid, spec.nodeName, spec.hostname, spec.subdomain],
    ...[status?.phase, status?.podIP, status?.podIPs],
  ];
  return isPodReady(old) !== isPodReady(pod) || !sameJson(facts(old), facts(pod));
}

const labelKey = (namespace: string | undefined, [key, value]: [string, string]): string =>
  `${namespace}/${key}=${value}`;

/** The first label that its pods have, or what all pods of the namespace have in common. */
const selectorKey = ({ metadata: { namespace }, spec }: Service): string => {
  const [first] = Object.entries(spec.selector ?? {});
  return first ? labelKey(namespace, first) : `${namespace}/`;
};

const podKeys = ({ metadata: { namespace, labels = {} } }: Pod): string[] => [
  `${namespace}/`,
  ...Object.entries(labels).map((label) => labelKey(namespace, label)),
];

/** With these indexes a pod finds its Services, and a Service its pods, among few. */
export const SERVICE_INDEXES = {
  selector: (service: Service) => (hasSelector(service) ? [selectorKey(service)] : []),
};
export const POD_INDEXES = { label: podKeys };

/** `pods` needs POD_INDEXES. */
export const selectedPods = (pods: Informer<Pod>, service: Service): Pod[] =>
  pods.byIndex('label', selectorKey(service)).filter((pod) => selects(service, pod.metadata.labels));

export interface ServicePodEvents {
  /** With SERVICE_INDEXES. */
  services: Informer<Service>;
  pods: Informer<Pod>;
  enqueue(key: string): void;
}

/** Tells of each Service that changed or whose pods did. */
export function onServicesAndPods({ services, pods, enqueue }: ServicePodEvents): (() => void)[] {
  const selecting = (pod: Pod) =>
    podKeys(pod)
      .flatMap((key) => services.byIndex('selector', key))
      .filter((service) => selects(service, pod.metadata.labels))
      .map(objectKey);
  const changed = (object: KubeObject) => enqueue(objectKey(object));
  const podChanged = (pod: Pod) => selecting(pod).forEach(enqueue);
  return [
    services.on({ added: changed, updated: (_, service) => changed(service), deleted: changed }),
    pods.on({
      added: podChanged,
      updated: (old, pod) => {
        const moved = !sameJson(old.metadata.labels, pod.metadata.labels);
        if (moved) podChanged(old);
        if (moved || endpointChanged(old, pod)) podChanged(pod);
      },
      deleted: podChanged,
    }),
  ];
}

/** When what triggered the last change of a Service's endpoints happened (upstream `TriggerTimeTracker`). */
export class TriggerTimes {
  readonly #seen = new Map<string, { service: number; pods: Map<string, number> }>();

  /** RFC 3339; undefined if nothing is newer than at the last call. */
  next(key: string, service: Service, pods: Pod[]): string | undefined {
    const before = this.#seen.get(key);
    const state = { service: time(service.metadata.creationTimestamp), pods: new Map<string, number>() };
    let first =
      before === undefined || state.service > before.service ? state.service : Number.POSITIVE_INFINITY;
    for (const pod of pods) {
      const ready = pod.status?.conditions?.find(({ type }) => type === 'Ready');
      const at = time(ready?.lastTransitionTime);
      if (at === 0) continue;
      state.pods.set(pod.metadata.name, at);
      if (before !== undefined && at > (before.pods.get(pod.metadata.name) ?? 0)) first = Math.min(first, at);
    }
    this.#seen.set(key, state);
    return Number.isFinite(first) && first > 0
      ? new Date(first).toISOString().replace('.000Z', 'Z')
      : undefined;
  }

  forget(key: string): void {
    this.#seen.delete(key);
  }
}

const time = (text: string | undefined): number => (text ? Date.parse(text) : 0);
