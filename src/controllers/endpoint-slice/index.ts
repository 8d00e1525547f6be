/** The EndpointSlice controller: slices of the pods that a Service selects. */
import type { EndpointSlice, Node, Pod, Service } from '#types';
import { objectKey } from '../../api/machinery/types.js';
import { sameJson } from '../../api/machinery/validation.js';
import { endpointSlices, nodes, pods, services } from '../../api/resources/index.js';
import type { Informer } from '../../client/index.js';
import { type Context, type Controller, type ControllersOptions, contextOf, WorkLoop } from '../context.js';
import { controllerRef } from '../owners.js';
import { isNamespaceTerminating } from '../pod-control.js';
import { desiredGroups } from './desired.js';
import { planSlices } from './plan.js';
import {
  hasSelector,
  isHeadless,
  isPodEndpoint,
  LABEL,
  onServicesAndPods,
  POD_INDEXES,
  SERVICE_INDEXES,
  selectedPods,
  TRIGGER_TIME,
  TriggerTimes,
} from './service-pods.js';
import { SliceWriter } from './slice-writer.js';

export const MANAGER = 'endpointslice-controller.k8s.io';
const MAX_ENDPOINTS = 100;
/** The informer index that finds a Service's slices by `namespace/name`. */
export const SERVICE_INDEX = 'service';

export function serviceIndex({ metadata }: EndpointSlice): string[] {
  const name = metadata.labels?.[LABEL.serviceName];
  return name === undefined ? [] : [`${metadata.namespace}/${name}`];
}

export function startEndpointSliceController(options: ControllersOptions): Controller {
  return new EndpointSliceController(contextOf(options, 'endpointslice-controller')).loop;
}

/** Labels of a Service's slices: the Service's own, and those that say whose and what they are. */
export function sliceLabels(
  own: Record<string, string> = {},
  name: string,
  manager: string,
  headless: boolean,
) {
  const { [LABEL.headless]: _, ...labels } = own;
  return {
    ...labels,
    ...(headless ? { [LABEL.headless]: '' } : {}),
    [LABEL.serviceName]: name,
    [LABEL.managedBy]: manager,
  };
}

class EndpointSliceController {
  readonly loop: WorkLoop;
  readonly #services: Informer<Service>;
  readonly #pods: Informer<Pod>;
  readonly #nodes: Informer<Node>;
  readonly #slices: Informer<EndpointSlice>;
  readonly #writer: SliceWriter;
  readonly #triggers = new TriggerTimes();

  constructor({ informers, client, clock, ...context }: Context) {
    this.#services = informers.of(services, { indexes: SERVICE_INDEXES });
    this.#pods = informers.of(pods, { indexes: POD_INDEXES });
    this.#nodes = informers.of(nodes);
    this.#slices = informers.of(endpointSlices, { indexes: { [SERVICE_INDEX]: serviceIndex } });
    this.#writer = new SliceWriter(client, this.#slices, () => clock.now());
    const all = [this.#services, this.#pods, this.#nodes, this.#slices];
    this.loop = new WorkLoop(
      { informers, client, clock, ...context },
      all.map(({ synced }) => synced),
      (key) => this.#reconcile(key),
    );
    const enqueue = (key: string) => this.loop.queue.add(key);
    const sliceChanged = (slice: EndpointSlice) => {
      if (slice.metadata.labels?.[LABEL.managedBy] === MANAGER) serviceIndex(slice).forEach(enqueue);
    };
    this.loop.onClose(
      ...onServicesAndPods({ services: this.#services, pods: this.#pods, enqueue }),
      this.#slices.on({
        added: sliceChanged,
        updated: (old, slice) => {
          sliceChanged(slice);
          if (!sameJson(old.metadata.labels, slice.metadata.labels)) sliceChanged(old);
        },
        deleted: sliceChanged,
      }),
      this.#nodes.on({
        added: ({ metadata }) => this.#nodeChanged(metadata.name),
        updated: (old, node) => {
          const zone = ({ metadata }: Node) => metadata.labels?.['topology.kubernetes.io/zone'];
          if (zone(old) !== zone(node)) this.#nodeChanged(node.metadata.name);
        },
        deleted: ({ metadata }) => this.#nodeChanged(metadata.name),
      }),
    );
  }

  /** Its pods' endpoints carry its zone. */
  #nodeChanged(name: string): void {
    for (const service of this.#services.list())
      if (
        hasSelector(service) &&
        selectedPods(this.#pods, service).some(({ spec }) => spec.nodeName === name)
      )
        this.loop.queue.add(objectKey(service));
  }

  async #reconcile(key: string): Promise<void> {
    const service = this.#services.get(key);
    if (service === undefined) {
      this.#triggers.forget(key);
      return this.#writer.forget(key);
    }
    if (!hasSelector(service) || service.metadata.deletionTimestamp !== undefined) return;
    if (this.#writer.isBehind(key)) return this.loop.queue.addAfter(key, 100);
    const selected = selectedPods(this.#pods, service);
    const endpoints = selected.filter((pod) => isPodEndpoint(pod, true));
    const groups = desiredGroups(service, endpoints, (name) => this.#nodes.get(name));
    const { name, namespace = '', labels: own } = service.metadata;
    const labels = sliceLabels(own, name, MANAGER, isHeadless(service));
    const owner = controllerRef(service);
    const existing = this.#slices
      .byIndex(SERVICE_INDEX, key)
      .filter(({ metadata }) => metadata.labels?.[LABEL.managedBy] === MANAGER);
    const plan = planSlices(groups, existing, MAX_ENDPOINTS, ({ metadata }) =>
      sameJson([metadata.labels, metadata.ownerReferences], [labels, [owner]]),
    );
    if (plan.create.length + plan.update.length + plan.delete.length === 0) return;
    const trigger = this.#triggers.next(key, service, selected);
    const annotations: Record<string, string> = trigger === undefined ? {} : { [TRIGGER_TIME]: trigger };
    try {
      const generateName = `${name}-`;
      await this.#writer.apply(key, plan, { namespace, generateName, labels, annotations, owner });
    } catch (error) {
      if (!isNamespaceTerminating(error)) throw error;
    }
  }
}
