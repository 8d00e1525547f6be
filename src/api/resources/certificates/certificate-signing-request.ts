/**
 * CertificateSigningRequests: certificates that somebody asks for, approves and signs.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/
 */
import { X509Certificate } from 'node:crypto';
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
import { dns1123Subdomain, pathSegment } from '../../machinery/names.js';
import { checked, sameJson } from '../../machinery/validation.js';
import { ageColumn, humanDuration, nameColumn, textColumn } from '../columns.js';
import { defineResource } from '../define.js';
import { requestProblem } from './request.js';

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
const MIN_SECONDS = 600;
const DECISIONS = ['Approved', 'Denied'];

function validate({ spec }: CertificateSigningRequest): FieldError[] {
  const { usages = [], signerName = '', request = '', expirationSeconds } = spec;
  const errors: FieldError[] = [];
  const problem = requestProblem(request);
  if (problem) errors.push(invalid('spec.request', request, problem));
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

const FINAL = [...DECISIONS, 'Failed'];
const STATES = ['False', 'True', 'Unknown'];
const AT_CONDITIONS = 'status.conditions';

const has = (csr: CertificateSigningRequest, type: string): boolean =>
  Boolean(csr.status?.conditions?.some((condition) => condition.type === type));

const typesOf = (csr: CertificateSigningRequest): string[] =>
  (csr.status?.conditions ?? []).map(({ type }) => type);

/** What is wrong with the conditions already, an update may leave so. */
function validateConditions(csr: CertificateSigningRequest, old: CertificateSigningRequest): FieldError[] {
  const errors: FieldError[] = [];
  const [types, before] = [typesOf(csr), typesOf(old)];
  const wereUnique = new Set(before).size === before.length;
  const wereUndecided = !DECISIONS.every((type) => before.includes(type));
  csr.status?.conditions?.forEach(({ type, status: state }, i) => {
    const path = index(AT_CONDITIONS, i);
    const earlier = types.slice(0, i);
    const states = FINAL.includes(type) ? ['True'] : STATES;
    if (!type && !before.includes('')) errors.push(required(child(path, 'type')));
    if (!state) errors.push(required(child(path, 'status')));
    else if (!states.includes(state)) errors.push(notSupported(child(path, 'status'), state, states));
    const contrary = DECISIONS.includes(type) && DECISIONS.some((d) => d !== type && earlier.includes(d));
    if (contrary && wereUndecided)
      errors.push(invalid(AT_CONDITIONS, type, 'Approved and Denied conditions are mutually exclusive'));
    if (wereUnique && earlier.includes(type)) errors.push(duplicate(child(path, 'type'), type));
  });
  for (const type of FINAL)
    if (count(types, type) < count(before, type))
      errors.push(
        forbidden(AT_CONDITIONS, `updates may not remove a condition of type ${JSON.stringify(type)}`),
      );
  return errors;
}

const count = (types: string[], type: string): number => types.filter((each) => each === type).length;

const BLOCK = /-----BEGIN ([^-]*)-----\r?\n([\s\S]*?)-----END \1-----/g;

/** What keeps the text from being certificates in PEM, if anything does. */
function certificateProblem(base64: string): string | undefined {
  const blocks = [...Buffer.from(base64, 'base64').toString('latin1').matchAll(BLOCK)];
  for (const [, type, body = ''] of blocks) {
    if (type !== 'CERTIFICATE')
      return `only CERTIFICATE PEM blocks are allowed, found ${JSON.stringify(type)}`;
    if (body.includes(':')) return 'no PEM block headers are permitted';
    try {
      new X509Certificate(Buffer.from(body, 'base64'));
    } catch {
      return 'x509: malformed certificate';
    }
  }
  return blocks.length === 0 ? 'must contain at least one CERTIFICATE PEM block' : undefined;
}

function validateStatus(csr: CertificateSigningRequest, old: CertificateSigningRequest): FieldError[] {
  const errors = validateConditions(csr, old);
  const at = 'status.certificate';
  const [now = '', before = ''] = [csr.status?.certificate, old.status?.certificate];
  if (now === before) return errors;
  const problem = now && !(before && certificateProblem(before)) ? certificateProblem(now) : undefined;
  if (problem) errors.push(invalid(at, '<certificate data>', problem));
  if (before) errors.push(forbidden(at, 'updates may not modify existing certificate content'));
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

function state(csr: CertificateSigningRequest): string {
  const decision = has(csr, 'Denied') ? 'Denied' : has(csr, 'Approved') ? 'Approved' : 'Pending';
  return `${decision}${has(csr, 'Failed') ? ',Failed' : ''}${csr.status?.certificate ? ',Issued' : ''}`;
}

export const certificateSigningRequests = defineResource<CertificateSigningRequest>({
  group: 'certificates.k8s.io',
  version: 'v1',
  kind: 'CertificateSigningRequest',
  plural: 'certificatesigningrequests',
  shortNames: ['csr'],
  namespaced: false,
  validateName: pathSegment,
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
