/** VolumeAttachments: which volume is to be attached to which node. */
import type { VolumeAttachment } from '#types';
import { type FieldError, invalid, required } from '../../machinery/field.js';
import { dns1123Subdomain } from '../../machinery/names.js';
import { checked, sameJson } from '../../machinery/validation.js';
import { ageColumn, nameColumn, textColumn } from '../columns.js';
import { validateVolumeSpec } from '../core/persistent-volume-spec.js';
import { defineResource } from '../define.js';
import { validateDriver } from './class-name.js';

function validate({ spec }: VolumeAttachment): FieldError[] {
  const { inlineVolumeSpec, persistentVolumeName } = spec.source;
  const errors = validateDriver(spec.attacher, 'spec.attacher');
  if (!inlineVolumeSpec && persistentVolumeName === undefined)
    errors.push(
      required('spec.source', 'must specify exactly one of inlineVolumeSpec and persistentVolumeName'),
    );
  if (inlineVolumeSpec && persistentVolumeName !== undefined)
    errors.push(
      invalid(
        'spec.source',
        spec.source,
        'must specify exactly one of inlineVolumeSpec and persistentVolumeName',
      ),
    );
  if (persistentVolumeName === '')
    errors.push(required('spec.source.persistentVolumeName', 'must specify non empty persistentVolumeName'));
  if (inlineVolumeSpec && persistentVolumeName === undefined)
    errors.push(...validateVolumeSpec(inlineVolumeSpec, '', 'spec.source.inlineVolumeSpec', true));
  return [...errors, ...checked('spec.nodeName', spec.nodeName ?? '', dns1123Subdomain)];
}

export const volumeAttachments = defineResource<VolumeAttachment>({
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'VolumeAttachment',
  plural: 'volumeattachments',
  namespaced: false,
  subresources: [{ name: 'status', kind: 'VolumeAttachment', verbs: ['get', 'patch', 'update'] }],
  defaults(attachment) {
    attachment.spec ??= {} as VolumeAttachment['spec'];
    attachment.spec.source ??= {};
    if (attachment.status) attachment.status.attached ??= false;
  },
  prepareForCreate(attachment) {
    attachment.status = { attached: false };
  },
  prepareForStatusUpdate(attachment, old) {
    attachment.spec = old.spec;
  },
  validate,
  validateUpdate: ({ spec }, old) =>
    sameJson(spec, old.spec) ? [] : [invalid('spec', spec, 'field is immutable')],
  columns: [
    nameColumn,
    textColumn('Attacher', 'The driver that attaches.', ({ spec }) => spec.attacher),
    textColumn('PV', 'The volume.', ({ spec }) => spec.source.persistentVolumeName ?? ''),
    textColumn('Node', 'The node.', ({ spec }) => spec.nodeName),
    {
      name: 'Attached',
      type: 'boolean',
      description: 'Whether it is attached.',
      cell: ({ status }) => status?.attached ?? false,
    },
    ageColumn,
  ],
});
