/** IngressClasses: which controller serves an Ingress. */
import type { IngressClass } from '#types';
import { validateImmutable } from '../../machinery/validation.js';
import { ageColumn, nameColumn } from '../columns.js';
import { defineResource } from '../define.js';
import { validateIngressClass } from './ingress-validation.js';

function parameters({ spec }: IngressClass): string {
  const to = spec.parameters;
  if (!to) return '<none>';
  return `${to.kind}${to.apiGroup ? `.${to.apiGroup}` : ''}/${to.name}`;
}

export const ingressClasses = defineResource<IngressClass>({
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'IngressClass',
  plural: 'ingressclasses',
  namespaced: false,
  generation: true,
  defaults(ingressClass) {
    ingressClass.spec ??= {};
    if (ingressClass.spec.parameters) ingressClass.spec.parameters.scope ??= 'Cluster';
  },
  validate: validateIngressClass,
  validateUpdate: ({ spec }, old) =>
    validateImmutable(spec.controller, old.spec.controller, 'spec.controller'),
  columns: [
    nameColumn,
    {
      name: 'Controller',
      type: 'string',
      description: 'The controller of the class.',
      cell: ({ spec }) => spec.controller ?? '',
    },
    { name: 'Parameters', type: 'string', description: 'More about the class.', cell: parameters },
    ageColumn,
  ],
});
