/** DefaultTolerationSeconds and Priority: what every new pod gets for its scheduling and eviction. */
import type { Pod, Toleration } from '#types';
import type { Store } from '../../store/store.js';
import { type AdmissionPlugin, type AdmissionRequest, refuse } from './admission.js';

const SECONDS = 300;
const TAINTS = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'];

const isNewPod = ({ resource, operation, subresource }: AdmissionRequest): boolean =>
  resource.plural === 'pods' && resource.group === '' && operation === 'CREATE' && subresource === '';

const tolerates = ({ key, effect }: Toleration, taint: string): boolean =>
  (key === taint || !key) && (effect === 'NoExecute' || !effect);

/** A pod stays five minutes on a node that is not ready or out of reach, unless it says otherwise. */
export const defaultTolerations: AdmissionPlugin = {
  name: 'DefaultTolerationSeconds',
  admit(request) {
    if (!isNewPod(request)) return;
    const spec = (request.object as unknown as Pod).spec;
    if (!spec) return;
    const own = spec.tolerations ?? [];
    const missing = TAINTS.filter((taint) => !own.some((toleration) => tolerates(toleration, taint)));
    if (missing.length === 0) return;
    spec.tolerations = [
      ...own,
      ...missing.map((key) => ({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: SECONDS })),
    ];
  },
};

interface PriorityClass {
  value: number;
  preemptionPolicy?: string;
}

/** Turns a pod's class into its number. */
export function priority(store: Store): AdmissionPlugin {
  return {
    name: 'Priority',
    async admit(request) {
      if (!isNewPod(request)) return;
      const spec = (request.object as unknown as Pod).spec;
      if (!spec) return;
      const chosen = await classOf(store, request, spec.priorityClassName);
      if (chosen.name) spec.priorityClassName = chosen.name;
      if (spec.priority !== undefined && spec.priority !== null && spec.priority !== chosen.value)
        throw refuse(
          request,
          `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${chosen.value} from the given PriorityClass name`,
        );
      spec.priority = chosen.value;
      const policy = chosen.preemptionPolicy ?? 'PreemptLowerPriority';
      if (spec.preemptionPolicy && spec.preemptionPolicy !== policy)
        throw refuse(
          request,
          `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${policy} from the given PriorityClass name`,
        );
      spec.preemptionPolicy = policy;
    },
  };
}

const CLASSES = 'scheduling.k8s.io/priorityclasses//';

async function classOf(
  store: Store,
  request: AdmissionRequest,
  name: string | undefined,
): Promise<PriorityClass & { name?: string }> {
  if (name) {
    const found = store.get(CLASSES + name)?.object as PriorityClass | undefined;
    if (!found) throw refuse(request, `no PriorityClass with name ${name} was found`);
    return found;
  }
  const { items } = await store.list(CLASSES);
  const defaults = items.map(({ object }) => object).filter((object) => object['globalDefault']);
  const lowest = defaults.sort((a, b) => a['value'] - b['value'])[0];
  if (!lowest) return { value: 0 };
  return { value: lowest['value'], preemptionPolicy: lowest['preemptionPolicy'], name: lowest.metadata.name };
}
