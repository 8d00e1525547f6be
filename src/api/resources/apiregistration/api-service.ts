/** APIServices: which group versions of the API are served here, and which by servers behind a Service. */
import type { APIService, APIServiceCondition } from '#types';
import { type FieldError, index, invalid, notSupported, required } from '../../machinery/field.js';
import { dns1035Label, dns1123Subdomain, pathSegment } from '../../machinery/names.js';
import { checked } from '../../machinery/validation.js';
import { ageColumn, nameColumn, textColumn } from '../columns.js';
import { defineResource } from '../define.js';
import { dropUnset } from '../unset.js';

const HTTPS_PORT = 443;
const MAX_GROUP_PRIORITY = 20_000;
const MAX_VERSION_PRIORITY = 1000;
const STATUSES = ['False', 'True', 'Unknown'];

const nameOf = ({ spec }: APIService): string => `${spec?.version ?? ''}.${spec?.group ?? ''}`;

export const availableCondition = (service: APIService): APIServiceCondition | undefined =>
  service.status?.conditions?.find(({ type }) => type === 'Available');

function validateName(service: APIService): FieldError[] {
  const { name = '' } = service.metadata;
  const wanted = nameOf(service);
  if (pathSegment(name).length > 0 || name === wanted) return [];
  return [
    invalid('metadata.name', name, `must be \`spec.version+"."+spec.group\`: ${JSON.stringify(wanted)}`),
  ];
}

function validate(service: APIService): FieldError[] {
  const { spec } = service;
  const { group = '', version = '', groupPriorityMinimum = 0, versionPriority = 0 } = spec;
  const errors = validateName(service);
  if (group === '' && version !== 'v1')
    errors.push(required('spec.group', 'only v1 may have an empty group and it better be legacy kube'));
  if (group !== '') errors.push(...checked('spec.group', group, dns1123Subdomain));
  errors.push(...checked('spec.version', version, dns1035Label));
  if (groupPriorityMinimum <= 0 || groupPriorityMinimum > MAX_GROUP_PRIORITY)
    errors.push(
      invalid('spec.groupPriorityMinimum', groupPriorityMinimum, 'must be positive and less than 20000'),
    );
  if (versionPriority <= 0 || versionPriority > MAX_VERSION_PRIORITY)
    errors.push(invalid('spec.versionPriority', versionPriority, 'must be positive and less than 1000'));
  return [...errors, ...validateTarget(service)];
}

function validateTarget({
  spec: { service, caBundle = '', insecureSkipTLSVerify },
}: APIService): FieldError[] {
  const errors: FieldError[] = [];
  if (!service) {
    if (caBundle !== '') {
      const bytes = `${Buffer.from(caBundle, 'base64').length} bytes`;
      errors.push(invalid('spec.caBundle', bytes, 'local APIServices may not have a caBundle'));
    }
    if (insecureSkipTLSVerify)
      errors.push(
        invalid('spec.insecureSkipTLSVerify', true, 'local APIServices may not have insecureSkipTLSVerify'),
      );
    return errors;
  }
  if (!service.namespace) errors.push(required('spec.service.namespace', ''));
  if (!service.name) errors.push(required('spec.service.name', ''));
  if (insecureSkipTLSVerify && caBundle !== '')
    errors.push(invalid('spec.insecureSkipTLSVerify', true, 'may not be true if caBundle is present'));
  return errors;
}

export const apiServices = defineResource<APIService>({
  group: 'apiregistration.k8s.io',
  version: 'v1',
  kind: 'APIService',
  plural: 'apiservices',
  categories: ['api-extensions'],
  namespaced: false,
  unconditionalUpdate: false,
  subresources: [{ name: 'status', kind: 'APIService', verbs: ['get', 'patch', 'update'] }],
  validateName: pathSegment,
  defaults(service) {
    service.spec ??= {} as APIService['spec'];
    dropUnset(service.spec, ['group', 'version', 'insecureSkipTLSVerify', 'caBundle']);
    service.spec.groupPriorityMinimum ??= 0;
    service.spec.versionPriority ??= 0;
    if (service.spec.service) service.spec.service.port ??= HTTPS_PORT;
  },
  prepareForCreate(service) {
    service.status = {};
    if (!service.spec.service)
      service.status.conditions = [
        {
          type: 'Available',
          status: 'True',
          lastTransitionTime: service.metadata.creationTimestamp!,
          reason: 'Local',
          message: 'Local APIServices are always available',
        },
      ];
  },
  prepareForStatusUpdate(service, old) {
    service.spec = old.spec;
  },
  validate,
  validateStatusUpdate: ({ status }) =>
    (status?.conditions ?? []).flatMap((condition, i) =>
      STATUSES.includes(condition.status)
        ? []
        : [notSupported(`${index('status.conditions', i)}.status`, condition.status, STATUSES)],
    ),
  columns: [
    nameColumn,
    textColumn('Service', 'The Service that serves this group version.', ({ spec: { service } }) =>
      service ? `${service.namespace}/${service.name}` : 'Local',
    ),
    textColumn('Available', 'Whether it is available.', (service) => {
      const { status = 'Unknown', reason = '' } = availableCondition(service) ?? {};
      return status === 'True' || reason === '' ? status : `${status} (${reason})`;
    }),
    ageColumn,
  ],
});
