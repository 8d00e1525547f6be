/** PodTemplates: templates of pods on their own. */
import type { PodTemplate } from '#types';
import { formatLabels, nameColumn, templateColumns } from '../columns.js';
import { defineResource } from '../define.js';
import { defaultPodTemplate } from './podspec/defaults.js';
import { validatePodTemplate } from './podspec/validate-spec.js';
import { podSpecWarnings } from './podspec/warnings.js';

export const podTemplates = defineResource<PodTemplate>({
  group: '',
  version: 'v1',
  kind: 'PodTemplate',
  plural: 'podtemplates',
  namespaced: true,
  generation: true,
  defaults(template) {
    template.template ??= {} as PodTemplate['template'] & object;
    defaultPodTemplate(template.template!);
  },
  validate: ({ template }) => validatePodTemplate(template!, 'template'),
  warnings: ({ template, metadata }, old) =>
    metadata.generation !== old?.metadata.generation
      ? podSpecWarnings(template!.spec!, template!.metadata, 'template')
      : [],
  columns: [
    nameColumn,
    ...templateColumns<PodTemplate>()
      .slice(0, 2)
      .map(({ priority: _, cell, ...column }) => ({
        ...column,
        cell: (object: PodTemplate, now: number) =>
          cell({ ...object, spec: { template: object.template } } as PodTemplate, now),
      })),
    {
      name: 'Pod Labels',
      type: 'string',
      description: 'Labels of pods made from the template.',
      cell: ({ template }) => formatLabels(template?.metadata?.labels),
    },
  ],
});
