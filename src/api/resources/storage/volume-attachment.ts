/** VolumeAttachments: which volume is to be attached to which node. */
import type { VolumeAttachment, VolumeError } from '#types';
import { child, type FieldError, forbidden, invalid, required, tooLong } from '../../machinery/field.js';
import { dns1123Subdomain, inclusiveRange } from '../../machinery/names.js';
import { checked, sameJson } from '../../machinery/validation.js';
import { ageColumn, nameColumn, textColumn } from '../columns.js';
import { validateVolumeSpec } from '../core/persistent-volume-spec.js';
import { validateCsiDriverName } from '../core/podspec/volume-sources.js';
import { defineResource } from '../define.js';

const MAX_METADATA = 256 * 1024;
const MAX_MESSAGE = 1024;

function validate({ spec }: VolumeAttachment): FieldError[] {
  const { inlineVolumeSpec, persistentVolumeName } = spec.source;
  const errors: FieldError[] = spec.attacher ? [] : [required('spec.attacher')];
  if (!inlineVolumeSpec && persistentVolumeName === undefined)
    errors.push(
      required('spec.source', 'must specify exactly one of inlineVolumeSpec and persistentVolumeName'),
    );
  if (inlineVolumeSpec && persistentVolumeName !== undefined)
    errors.push(
      forbidden('spec.source', 'must specify exactly one of inlineVolumeSpec and persistentVolumeName'),
    );
  else if (persistentVolumeName === '')
    errors.push(required('spec.source.persistentVolumeName', 'must specify non empty persistentVolumeName'));
  if (inlineVolumeSpec && persistentVolumeName === undefined)
    errors.push(...validateVolumeSpec(inlineVolumeSpec, '', 'spec.source.inlineVolumeSpec', true));
  return [...errors, ...checked('spec.nodeName', spec.nodeName ?? '', dns1123Subdomain)];
}

/** Stricter than what older objects may have. */
function validateCreate({ spec }: VolumeAttachment): FieldError[] {
  const name = spec.source.persistentVolumeName;
  return [
    ...validateCsiDriverName(spec.attacher ?? '', 'spec.attacher'),
    ...(name === undefined ? [] : checked('spec.source.persistentVolumeName', name, dns1123Subdomain)),
  ];
}

function validateStatus({ status }: VolumeAttachment): FieldError[] {
  const { attachmentMetadata = {}, attachError, detachError } = status ?? {};
  const size = Object.entries(attachmentMetadata).flat().join('');
  return [
    ...(Buffer.byteLength(size) > MAX_METADATA ? [tooLong('status.attachmentMetadata', MAX_METADATA)] : []),
    ...validateError(attachError, 'status.attachError'),
    ...validateError(detachError, 'status.detachError'),
  ];
}

function validateError(error: VolumeError | undefined, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (Buffer.byteLength(error?.message ?? '') > MAX_MESSAGE)
    errors.push(tooLong(child(path, 'message'), MAX_METADATA));
  const code = error?.errorCode;
  if (code !== undefined && code < 0)
    errors.push(invalid(child(path, 'errorCode'), code, inclusiveRange(0, 2 ** 31 - 1)));
  return errors;
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
  validateCreate,
  validateStatusUpdate: validateStatus,
  validateUpdate: ({ spec }, old) =>
    sameJson(spec, old.spec) ? [] : [invalid('spec', spec, 'field is immutable')],
  columns: [
    nameColumn,
    {
      name: 'Attacher',
      type: 'string',
      format: 'name',
      description: 'The driver that attaches.',
      cell: ({ spec }) => spec.attacher,
    },
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
