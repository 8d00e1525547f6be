/** Ingresses: rules by which HTTP requests from outside reach Services. */
import type { Ingress } from '#types';
import { ageColumn, nameColumn } from '../columns.js';
import { defineResource } from '../define.js';
import { validateIngress, validateIngressStatus, validateNewIngress } from './ingress-validation.js';

const SHOWN = 3;

function hosts({ spec }: Ingress): string {
  const rules = spec.rules ?? [];
  const shown = rules.filter(({ host }) => host).slice(0, SHOWN);
  const text = shown.map(({ host }) => host).join(',') || '*';
  // Rules after the last that is shown count, with or without a host.
  const more = shown.length === SHOWN && shown.at(-1) !== rules.at(-1);
  return more ? `${text} + ${rules.length - SHOWN} more...` : text;
}

const address = ({ status }: Ingress): string =>
  [...new Set((status?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname }) => ip || hostname || []))]
    .sort()
    .join(',');

export const ingresses = defineResource<Ingress>({
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'Ingress',
  plural: 'ingresses',
  shortNames: ['ing'],
  namespaced: true,
  generation: true,
  defaults(ingress) {
    ingress.spec ??= {};
  },
  prepareForCreate(ingress) {
    ingress.status ??= { loadBalancer: {} };
  },
  prepareForStatusUpdate(ingress, old) {
    ingress.spec = old.spec;
  },
  validate: validateIngress,
  validateCreate: validateNewIngress,
  validateStatusUpdate: validateIngressStatus,
  subresources: [{ name: 'status', kind: 'Ingress', verbs: ['get', 'patch', 'update'] }],
  columns: [
    nameColumn,
    {
      name: 'Class',
      type: 'string',
      description: 'Class of controllers that serve the Ingress.',
      cell: ({ spec }) => spec.ingressClassName ?? '<none>',
    },
    { name: 'Hosts', type: 'string', description: 'Hosts of the rules.', cell: hosts },
    { name: 'Address', type: 'string', description: 'Where it is served.', cell: address },
    {
      name: 'Ports',
      type: 'string',
      description: 'Ports of the rules.',
      cell: ({ spec }) => ((spec.tls ?? []).length > 0 ? '80, 443' : '80'),
    },
    ageColumn,
  ],
});
