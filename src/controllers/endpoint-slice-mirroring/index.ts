/** The EndpointSlice mirroring controller: slices of Endpoints that people make by hand. */
import type { EndpointSlice, Endpoints } from '#types';
import { objectKey } from '../../api/machinery/types.js';
import { sameJson } from '../../api/machinery/validation.js';
import { endpointSlices, endpoints, services } from '../../api/resources/index.js';
import { type Controller, type ControllersOptions, contextOf, WorkLoop } from '../context.js';
import { SERVICE_INDEX, serviceIndex, sliceLabels } from '../endpoint-slice/index.js';
import { planSlices } from '../endpoint-slice/plan.js';
import { isHeadless, LABEL } from '../endpoint-slice/service-pods.js';
import { SliceWriter } from '../endpoint-slice/slice-writer.js';
import { controllerRef } from '../owners.js';
import { isNamespaceTerminating } from '../pod-control.js';
import { mirroredAnnotations, mirroredGroups, shouldMirror } from './mirrored.js';

export const MIRROR_MANAGER = 'endpointslicemirroring-controller.k8s.io';
const MAX_ENDPOINTS = 1000;

export function startEndpointSliceMirroring(options: ControllersOptions): Controller {
  const context = contextOf(options, 'endpointslicemirroring-controller');
  const all = context.informers.of(endpoints);
  const owners = context.informers.of(services);
  const slices = context.informers.of(endpointSlices, { indexes: { [SERVICE_INDEX]: serviceIndex } });
  const writer = new SliceWriter(context.client, slices, () => context.clock.now());
  const isMirrored = ({ metadata }: EndpointSlice) => metadata.labels?.[LABEL.managedBy] === MIRROR_MANAGER;

  const reconcile = async (key: string): Promise<void> => {
    const source: Endpoints | undefined = all.get(key);
    const service = owners.get(key);
    const existing = slices.byIndex(SERVICE_INDEX, key).filter(isMirrored);
    const mirrors = shouldMirror(source, service);
    if (!mirrors && existing.length === 0) return writer.forget(key);
    if (writer.isBehind(key)) return loop.queue.addAfter(key, 100);
    if (!mirrors) {
      for (const slice of existing)
        await writer.apply(key, { create: [], update: [], delete: [slice] }, metaOf(slice));
      return;
    }
    const { name, namespace = '', labels: own } = source.metadata;
    const labels = sliceLabels(own, name, MIRROR_MANAGER, isHeadless(service!));
    const annotations = mirroredAnnotations(source);
    const owner = controllerRef({ ...source, apiVersion: 'v1', kind: 'Endpoints' });
    const plan = planSlices(mirroredGroups(source), existing, MAX_ENDPOINTS, ({ metadata }) =>
      sameJson(
        [metadata.labels, metadata.annotations ?? {}, metadata.ownerReferences],
        [labels, annotations, [owner]],
      ),
    );
    try {
      await writer.apply(key, plan, { namespace, generateName: `${name}-`, labels, annotations, owner });
    } catch (error) {
      if (!isNamespaceTerminating(error)) throw error;
    }
  };

  const synced = [all.synced, owners.synced, slices.synced];
  const loop = new WorkLoop(context, synced, reconcile);
  const changed = (object: { metadata: Endpoints['metadata'] }) =>
    loop.queue.add(objectKey(object as Endpoints));
  const sliceChanged = (slice: EndpointSlice) => {
    if (isMirrored(slice)) for (const key of serviceIndex(slice)) loop.queue.add(key);
  };
  loop.onClose(
    all.on({ added: changed, updated: (_, object) => changed(object), deleted: changed }),
    owners.on({ added: changed, updated: (_, service) => changed(service), deleted: changed }),
    slices.on({
      added: sliceChanged,
      updated: (_, slice) => sliceChanged(slice),
      deleted: sliceChanged,
    }),
  );
  return loop;
}

/** What a deletion needs of it: nothing is written. */
const metaOf = ({ metadata }: EndpointSlice) => ({
  namespace: metadata.namespace ?? '',
  generateName: '',
  labels: {},
  annotations: {},
  owner: metadata.ownerReferences![0]!,
});
