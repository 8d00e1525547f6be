/** Ingresses: rules by which HTTP requests from outside reach Services. */
import type { Ingress } from '#types';
import { ageColumn, nameColumn } from '../columns.js';
import { defineResource } from '../define.js';
import { validateIngress, validateIngressStatus, validateNewIngress } from './ingress-validation.js';

function hosts({ spec }: Ingress): string {
  const names = [...new Set((spec.rules ?? []).flatMap(({ host }) => host || []))];
  const shown = names.slice(0, 3).join(',');
  return names.length > 3 ? `${shown} + ${names.length - 3} more...` : shown || '*';
}

const address = ({ status }: Ingress): string =>
  (status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip || hostname || '').join(',');

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
