/**
 * CertificateSigningRequests: certificates that somebody asks for, approves and signs.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/
 */
import type { CertificateSigningRequest, CertificateSigningRequestCondition } from '#types';
import {
  child,
  duplicate,
  type FieldError,
  forbidden,
  index,
  invalid,
  notSupported,
  required,
} from '../../machinery/field.js';
import { dns1123Subdomain } from '../../machinery/names.js';
import { checked, sameJson } from '../../machinery/validation.js';
import { ageColumn, humanDuration, nameColumn, textColumn } from '../columns.js';
import { defineResource } from '../define.js';

const USAGES = [
  'any',
  'cert sign',
  'client auth',
  'code signing',
  'content commitment',
  'crl sign',
  'data encipherment',
  'decipher only',
  'digital signature',
  'email protection',
  'encipher only',
  'ipsec end system',
  'ipsec tunnel',
  'ipsec user',
  'key agreement',
  'key encipherment',
  'microsoft sgc',
  'netscape sgc',
  'ocsp signing',
  's/mime',
  'server auth',
  'signing',
  'timestamping',
];
const PEM =
  /^\s*-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----\n[\s\S]+\n-----END (?:NEW )?CERTIFICATE REQUEST-----/;
const MIN_SECONDS = 600;
const DECISIONS = ['Approved', 'Denied'];

function validate({ spec }: CertificateSigningRequest): FieldError[] {
  const { usages = [], signerName = '', request = '', expirationSeconds } = spec;
  const errors: FieldError[] = [];
  if (!PEM.test(Buffer.from(request, 'base64').toString()))
    errors.push(invalid('spec.request', request, 'PEM block type must be CERTIFICATE REQUEST'));
  if (usages.length === 0) errors.push(required('spec.usages'));
  usages.forEach((usage, i) => {
    if (!USAGES.includes(usage)) errors.push(notSupported(index('spec.usages', i), usage, USAGES));
    if (usages.indexOf(usage) < i) errors.push(duplicate(index('spec.usages', i), usage));
  });
  errors.push(...validateSignerName(signerName));
  if (expirationSeconds !== undefined && expirationSeconds < MIN_SECONDS)
    errors.push(
      invalid(
        'spec.expirationSeconds',
        expirationSeconds,
        'may not specify a duration less than 600 seconds (10 minutes)',
      ),
    );
  return errors;
}

function validateSignerName(name: string): FieldError[] {
  const at = 'spec.signerName';
  if (name === '') return [required(at)];
  if (name === 'kubernetes.io/legacy-unknown')
    return [invalid(at, name, 'the legacy signerName is not allowed via this API version')];
  const [domain = '', path, ...more] = name.split('/');
  if (path === undefined || more.length > 0)
    return [
      invalid(at, name, 'must be a fully qualified domain and path of the form "example.com/signer-name"'),
    ];
  const errors = checked(at, domain, dns1123Subdomain);
  if (errors.length === 0 && !domain.includes('.'))
    errors.push(invalid(at, domain, 'should be a domain with at least two segments separated by dots'));
  return [...errors, ...checked(at, path, dns1123Subdomain)];
}

function validateConditions(
  { status }: CertificateSigningRequest,
  old: CertificateSigningRequest,
): FieldError[] {
  const conditions = status?.conditions ?? [];
  const at = 'status.conditions';
  const errors: FieldError[] = [];
  const types = conditions.map(({ type }) => type);
  conditions.forEach(({ type, status: state }, i) => {
    const path = index(at, i);
    if (!type) errors.push(required(child(path, 'type')));
    if (!state) errors.push(required(child(path, 'status')));
    else if ([...DECISIONS, 'Failed'].includes(type) && state !== 'True')
      errors.push(notSupported(child(path, 'status'), state, ['True']));
    if (types.indexOf(type) < i) errors.push(duplicate(child(path, 'type'), type));
    if (
      DECISIONS.includes(type) &&
      DECISIONS.some((other) => other !== type && types.indexOf(other) >= 0 && types.indexOf(other) < i)
    )
      errors.push(
        invalid(child(path, 'type'), type, 'Approved and Denied conditions are mutually exclusive'),
      );
  });
  for (const { type } of old.status?.conditions ?? [])
    if (DECISIONS.includes(type) && !types.includes(type))
      errors.push(forbidden(at, `updates may not remove a condition of type ${JSON.stringify(type)}`));
  return errors;
}

function validateStatus(csr: CertificateSigningRequest, old: CertificateSigningRequest): FieldError[] {
  const errors = validateConditions(csr, old);
  const before = old.status?.certificate;
  if (before && csr.status?.certificate !== before)
    errors.push(forbidden('status.certificate', 'updates may not change a non-empty certificate'));
  return errors;
}

const decisions = (csr: CertificateSigningRequest): CertificateSigningRequestCondition[] =>
  (csr.status?.conditions ?? []).filter(({ type }) => DECISIONS.includes(type));

/** Times of conditions that are new or changed. */
function stampConditions(csr: CertificateSigningRequest, old: CertificateSigningRequest): void {
  const now = `${new Date().toISOString().slice(0, 19)}Z`;
  for (const condition of csr.status?.conditions ?? []) {
    condition.lastUpdateTime ||= now;
    const before = old.status?.conditions?.find(({ type }) => type === condition.type);
    condition.lastTransitionTime ||=
      before?.status === condition.status ? (before.lastTransitionTime ?? now) : now;
  }
}

function state({ status }: CertificateSigningRequest): string {
  const has = (type: string) => status?.conditions?.some((condition) => condition.type === type);
  const decision = has('Denied') ? 'Denied' : has('Approved') ? 'Approved' : 'Pending';
  return `${decision}${has('Failed') ? ',Failed' : ''}${status?.certificate ? ',Issued' : ''}`;
}

export const certificateSigningRequests = defineResource<CertificateSigningRequest>({
  group: 'certificates.k8s.io',
  version: 'v1',
  kind: 'CertificateSigningRequest',
  plural: 'certificatesigningrequests',
  shortNames: ['csr'],
  namespaced: false,
  subresources: [
    { name: 'approval', kind: 'CertificateSigningRequest', verbs: ['get', 'patch', 'update'] },
    { name: 'status', kind: 'CertificateSigningRequest', verbs: ['get', 'patch', 'update'] },
  ],
  prepareForCreate(csr) {
    csr.status = {};
  },
  prepareForUpdate(csr, old) {
    csr.spec = old.spec;
  },
  prepareForStatusUpdate(csr, old) {
    csr.spec = old.spec;
    // Who signs does not decide.
    const others = (csr.status?.conditions ?? []).filter(({ type }) => !DECISIONS.includes(type));
    const conditions = [...decisions(old), ...others];
    if (csr.status && conditions.length > 0) csr.status.conditions = conditions;
    stampConditions(csr, old);
  },
  updates: {
    approval: {
      prepareForUpdate(csr, old) {
        csr.spec = old.spec;
        const conditions = csr.status?.conditions;
        csr.status = { ...old.status, ...(conditions ? { conditions } : {}) };
        stampConditions(csr, old);
      },
      validateUpdate: (csr, old) => [
        ...validateConditions(csr, old),
        ...(sameJson(csr.status?.certificate, old.status?.certificate)
          ? []
          : [forbidden('status.certificate', 'updates may not set certificate content')]),
      ],
    },
  },
  validate,
  validateStatusUpdate: validateStatus,
  columns: [
    nameColumn,
    ageColumn,
    textColumn('SignerName', 'Who is to sign.', ({ spec }) => spec.signerName || '<none>'),
    textColumn('Requestor', 'Who asks.', ({ spec }) => spec.username ?? ''),
    textColumn('RequestedDuration', 'For how long.', ({ spec }) =>
      spec.expirationSeconds === undefined ? '<none>' : humanDuration(spec.expirationSeconds * 1000),
    ),
    textColumn('Condition', 'What has been decided.', state),
  ],
  fields: { 'spec.signerName': ({ spec }) => spec.signerName },
});
