/** RuntimeClass: what a pod's class adds to it (upstream `plugin/pkg/admission/runtimeclass`, KEP-585, KEP-688). */
import type { Pod, RuntimeClass, Toleration } from '#types';
import { compareQuantities } from '../../api/machinery/quantity.js';
import type { Store } from '../../store/store.js';
import { type AdmissionPlugin, type AdmissionRequest, refuse } from './admission.js';

type Overhead = NonNullable<Pod['spec']['overhead']>;

const CLASSES = 'node.k8s.io/runtimeclasses//';

/** A pod of a class that there is gets its overhead, node selector and tolerations; others are turned away. */
export function runtimeClass(store: Store): AdmissionPlugin {
  const classOf = (request: AdmissionRequest): [Pod['spec'], RuntimeClass | undefined] | undefined => {
    const { resource, operation, subresource, object } = request;
    if (resource.plural !== 'pods' || resource.group !== '') return undefined;
    const spec = (object as unknown as Pod | undefined)?.spec;
    if (operation !== 'CREATE' || subresource !== '' || !spec) return undefined;
    const name = spec.runtimeClassName;
    if (!name) return [spec, undefined];
    const found = store.get(CLASSES + name)?.object as unknown as RuntimeClass | undefined;
    if (!found) throw refuse(request, `pod rejected: RuntimeClass ${JSON.stringify(name)} not found`);
    return [spec, found];
  };
  return {
    name: 'RuntimeClass',
    admit(request) {
      const [spec, chosen] = classOf(request) ?? [];
      if (!spec || !chosen) return;
      const overhead = chosen.overhead?.podFixed;
      if (chosen.overhead) {
        if (spec.overhead && !sameOverhead(spec.overhead, overhead)) throw refuse(request, MISMATCH);
        if (overhead) spec.overhead = { ...overhead };
      }
      const { nodeSelector, tolerations } = chosen.scheduling ?? {};
      if (nodeSelector) spec.nodeSelector = mergeSelectors(request, nodeSelector, spec.nodeSelector);
      if (tolerations?.length) spec.tolerations = mergeTolerations(spec.tolerations ?? [], tolerations);
    },
    validate(request) {
      const [spec, chosen] = classOf(request) ?? [];
      if (!spec) return;
      if (chosen?.overhead) {
        if (!sameOverhead(spec.overhead, chosen.overhead.podFixed)) throw refuse(request, MISMATCH);
      } else if (Object.keys(spec.overhead ?? {}).length > 0)
        throw refuse(
          request,
          'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead',
        );
    },
  };
}

const MISMATCH = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";

function sameOverhead(a: Overhead = {}, b: Overhead = {}): boolean {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].every((name) => name in a && name in b && compareQuantities(a[name]!, b[name]!) === 0);
}

function mergeSelectors(
  request: AdmissionRequest,
  ofClass: Record<string, string>,
  ofPod: Record<string, string> = {},
): Record<string, string> {
  for (const [name, value] of Object.entries(ofClass))
    if (name in ofPod && ofPod[name] !== value)
      throw refuse(
        request,
        `conflict: runtimeClass.scheduling.nodeSelector[${name}] = ${value}; pod.spec.nodeSelector[${name}] = ${ofPod[name]}`,
      );
  return { ...ofPod, ...ofClass };
}

/** All, but for those that another says as well. */
function mergeTolerations(ofPod: Toleration[], ofClass: Toleration[]): Toleration[] {
  const all = [...ofPod, ...ofClass];
  const merged: Toleration[] = [];
  for (const [i, one] of all.entries()) {
    const later = all.slice(i + 1).some((other) => covers(other, one) && !covers(one, other));
    if (!later && !merged.some((other) => covers(other, one))) merged.push(one);
  }
  return merged;
}

/** Whether all that `small` tolerates, `big` does. */
function covers(big: Toleration, small: Toleration): boolean {
  const exists = big.operator === 'Exists';
  if (big.key !== small.key && (big.key || !exists)) return false;
  if (big.effect !== small.effect && big.effect) return false;
  if (big.effect === 'NoExecute' && big.tolerationSeconds !== undefined)
    if (small.tolerationSeconds === undefined || small.tolerationSeconds > big.tolerationSeconds)
      return false;
  const operator = ({ operator: o = 'Equal' }: Toleration) => o;
  return exists || (operator(small) === operator(big) && (small.value ?? '') === (big.value ?? ''));
}
