/** Which Ingresses are for Keelson's own controller: known by the hub, by the control plane and by every node. */
import type { Ingress, IngressClass } from '#types';

/** What `spec.controller` of an IngressClass says. */
export const INGRESS_CONTROLLER = 'keelson.dev/ingress';
/** The class that every cluster has from its first start. */
export const INGRESS_CLASS = 'keelson';
/** The label of nodes that say whether they serve Ingresses: `true` or `false`. */
export const INGRESS_NODE_LABEL = 'keelson.dev/ingress';
/** Which class an Ingress was of before `spec.ingressClassName`. */
export const CLASS_ANNOTATION = 'kubernetes.io/ingress.class';
export const DEFAULT_CLASS_ANNOTATION = 'ingressclass.kubernetes.io/is-default-class';

export const keelsonIngressClass: IngressClass = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'IngressClass',
  metadata: { name: INGRESS_CLASS, annotations: { [DEFAULT_CLASS_ANNOTATION]: 'true' } },
  spec: { controller: INGRESS_CONTROLLER },
};

/**
 * Whether Keelson serves the Ingress. `controllerOf` gives `spec.controller` of a class, if there is one of that
 * name. The annotation counts before the field, as upstream's controllers have it; an Ingress without either is
 * nobody's (admission gives new ones the default class).
 */
export function isServed(
  { metadata, spec }: Ingress,
  controllerOf: (className: string) => string | undefined,
): boolean {
  const annotated = metadata.annotations?.[CLASS_ANNOTATION];
  if (annotated) return annotated === INGRESS_CLASS || controllerOf(annotated) === INGRESS_CONTROLLER;
  return spec.ingressClassName !== undefined && controllerOf(spec.ingressClassName) === INGRESS_CONTROLLER;
}

/** Names of the Secrets with its certificates; all are of its namespace. */
export function tlsSecrets({ spec }: Ingress): string[] {
  return [...new Set((spec.tls ?? []).flatMap(({ secretName }) => secretName ?? []))];
}
