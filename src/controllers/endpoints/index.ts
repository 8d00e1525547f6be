/** The Endpoints controller: one Endpoints object for each Service with a selector (the older form of EndpointSlices). */
import type { Endpoints, Pod, Service } from '#types';
import { isReason } from '../../api/machinery/status.js';
import { objectKey } from '../../api/machinery/types.js';
import { sameJson } from '../../api/machinery/validation.js';
import { endpoints, pods, services } from '../../api/resources/index.js';
import type { Informer } from '../../client/index.js';
import { type Context, type Controller, type ControllersOptions, contextOf, WorkLoop } from '../context.js';
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
} from '../endpoint-slice/service-pods.js';
import { isNamespaceTerminating } from '../pod-control.js';
import { subsetsOf, truncate } from './subsets.js';

const MANAGER = 'endpoint-controller';
const OVER_CAPACITY = 'endpoints.kubernetes.io/over-capacity';

export function startEndpointsController(options: ControllersOptions): Controller {
  return new EndpointsController(contextOf(options, 'endpoint-controller')).loop;
}

class EndpointsController {
  readonly loop: WorkLoop;
  readonly #context: Context;
  readonly #services: Informer<Service>;
  readonly #pods: Informer<Pod>;
  readonly #endpoints: Informer<Endpoints>;
  readonly #triggers = new TriggerTimes();

  constructor(context: Context) {
    this.#context = context;
    this.#services = context.informers.of(services, { indexes: SERVICE_INDEXES });
    this.#pods = context.informers.of(pods, { indexes: POD_INDEXES });
    this.#endpoints = context.informers.of(endpoints);
    const synced = [this.#services, this.#pods, this.#endpoints].map((informer) => informer.synced);
    this.loop = new WorkLoop(context, synced, (key) => this.#reconcile(key));
    const enqueue = (key: string) => this.loop.queue.add(key);
    this.loop.onClose(
      ...onServicesAndPods({ services: this.#services, pods: this.#pods, enqueue }),
      // One that is left over from a Service that went while nobody watched is deleted.
      this.#endpoints.on({
        added: (object, initial) => initial && enqueue(objectKey(object)),
        deleted: (object) => enqueue(objectKey(object)),
      }),
    );
  }

  async #reconcile(key: string): Promise<void> {
    const service = this.#services.get(key);
    const current = this.#endpoints.get(key);
    if (service === undefined) return this.#serviceGone(key, current);
    if (!hasSelector(service) || service.metadata.deletionTimestamp !== undefined) return;
    const selected = selectedPods(this.#pods, service);
    const listed = selected.filter((pod) =>
      isPodEndpoint(pod, service.spec.publishNotReadyAddresses ?? false),
    );
    const { subsets, cut } = truncate(subsetsOf(service, listed));
    const labels = {
      ...service.metadata.labels,
      [LABEL.endpointsManagedBy]: MANAGER,
      ...(isHeadless(service) ? { [LABEL.headless]: '' } : {}),
    };
    const capacity = current?.metadata.annotations?.[OVER_CAPACITY] === 'truncated';
    const isSame =
      sameJson([current?.subsets ?? [], current?.metadata.labels], [subsets, labels]) && capacity === cut;
    if (current !== undefined && isSame) return;
    await this.#write(key, service, current, { subsets, labels, cut, selected });
  }

  async #write(
    key: string,
    service: Service,
    current: Endpoints | undefined,
    {
      subsets,
      labels,
      cut,
      selected,
    }: Pick<Endpoints, 'subsets'> & {
      labels: Record<string, string>;
      cut: boolean;
      selected: Pod[];
    },
  ): Promise<void> {
    const client = this.#context.client.of(endpoints);
    const { name, namespace } = service.metadata;
    const annotations = { ...current?.metadata.annotations };
    const trigger = this.#triggers.next(key, service, selected);
    delete annotations[TRIGGER_TIME];
    if (trigger !== undefined) annotations[TRIGGER_TIME] = trigger;
    delete annotations[OVER_CAPACITY];
    if (cut) annotations[OVER_CAPACITY] = 'truncated';
    const { annotations: _, ...base } = current?.metadata ?? { name, namespace };
    const metadata = { ...base, labels, ...(Object.keys(annotations).length > 0 ? { annotations } : {}) };
    const object = { apiVersion: 'v1', kind: 'Endpoints', metadata, ...(subsets?.length ? { subsets } : {}) };
    try {
      if (current === undefined) await client.create(object as Endpoints);
      else await client.update(object as Endpoints);
    } catch (error) {
      if (!isNamespaceTerminating(error)) throw error;
    }
  }

  /** Only what a Service could have had: others make Endpoints for reasons of their own. */
  async #serviceGone(key: string, current: Endpoints | undefined): Promise<void> {
    this.#triggers.forget(key);
    if (current === undefined || current.metadata.annotations?.['control-plane.alpha.kubernetes.io/leader'])
      return;
    const [namespace = '', name = ''] = key.split('/');
    try {
      const preconditions = { uid: current.metadata.uid ?? '' };
      await this.#context.client.of(endpoints).delete(namespace, name, { preconditions });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }
}
