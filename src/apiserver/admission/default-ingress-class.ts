/** New Ingresses that name no class get the default one. */
import type { Ingress } from '#types';
import {
  CLASS_ANNOTATION,
  DEFAULT_CLASS_ANNOTATION,
} from '../../api/resources/networking/ingress-controller.js';
import type { Store } from '../../store/store.js';
import type { AdmissionPlugin } from './admission.js';

const CLASSES = 'networking.k8s.io/ingressclasses//';

/** Of several defaults the newest counts, then the first by name (upstream `DefaultIngressClass`). */
export function defaultIngressClass(store: Store): AdmissionPlugin {
  return {
    name: 'DefaultIngressClass',
    async admit({ operation, resource, subresource, object }) {
      if (operation !== 'CREATE' || resource.plural !== 'ingresses' || subresource !== '') return;
      if (resource.group !== 'networking.k8s.io') return;
      const { metadata, spec } = object as unknown as Ingress;
      if (spec.ingressClassName !== undefined || metadata.annotations?.[CLASS_ANNOTATION] !== undefined)
        return;
      const { items } = await store.list(CLASSES);
      const [chosen] = items
        .map(({ object }) => object.metadata)
        .filter(({ annotations }) => annotations?.[DEFAULT_CLASS_ANNOTATION] === 'true')
        .sort(
          (a, b) =>
            Date.parse(b.creationTimestamp ?? '') - Date.parse(a.creationTimestamp ?? '') ||
            (a.name < b.name ? -1 : 1),
        );
      if (chosen) spec.ingressClassName = chosen.name;
    },
  };
}
