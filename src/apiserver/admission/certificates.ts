/** CertificateApproval, CertificateSigning and CertificateSubjectRestriction: who may ask for, approve and sign what. */
import type { CertificateSigningRequest } from '#types';
import { sameJson } from '../../api/machinery/validation.js';
import { requestSubject } from '../../auth/certificates.js';
import type { Authorizer } from '../../auth/user.js';
import { type AdmissionPlugin, type AdmissionRequest, refuse } from './admission.js';

const CLIENT_SIGNER = 'kubernetes.io/kube-apiserver-client';

export function certificateRequests(authorizer: Authorizer): AdmissionPlugin {
  return {
    name: 'CertificateSigningRequests',
    async admit(request) {
      const { resource, operation, subresource, object, old } = request;
      if (resource.plural !== 'certificatesigningrequests' || !object) return;
      const csr = object as unknown as CertificateSigningRequest;
      if (operation === 'CREATE' && subresource === '') return nameRequestor(request, csr);
      const before = old as unknown as CertificateSigningRequest;
      if (subresource === 'approval') await check(authorizer, request, 'approve', before.spec.signerName);
      const signs =
        subresource === 'status' &&
        (!sameJson(csr.status?.certificate, before.status?.certificate) ||
          !sameJson(csr.status?.conditions, before.status?.conditions));
      if (signs) await check(authorizer, request, 'sign', before.spec.signerName);
    },
  };
}

/** Whoever asks is written down, whatever they say themselves; nobody becomes a master by a request. */
async function nameRequestor(request: AdmissionRequest, csr: CertificateSigningRequest): Promise<void> {
  const { user } = request;
  csr.spec ??= {} as CertificateSigningRequest['spec'];
  const { uid: _u, extra: _e, ...spec } = csr.spec;
  csr.spec = {
    ...spec,
    username: user.name,
    groups: user.groups,
    ...(user.uid === undefined ? {} : { uid: user.uid }),
    ...(user.extra === undefined ? {} : { extra: user.extra }),
  };
  if (spec.signerName !== CLIENT_SIGNER) return;
  const pem = Buffer.from(spec.request ?? '', 'base64').toString();
  const subject = await requestSubject(pem).catch(() => undefined);
  if (subject?.organizations.includes('system:masters'))
    throw refuse(request, `use of ${CLIENT_SIGNER} signer with system:masters group is not allowed`);
}

/** By the signer's own name, or by its domain: `example.com/*`. */
async function check(
  authorizer: Authorizer,
  request: AdmissionRequest,
  verb: string,
  signer: string,
): Promise<void> {
  for (const name of [signer, `${signer.split('/')[0]}/*`]) {
    const { decision } = await authorizer.authorize({
      user: request.user,
      verb,
      isResource: true,
      group: 'certificates.k8s.io',
      version: '*',
      resource: 'signers',
      subresource: '',
      namespace: '',
      name,
      path: '',
    });
    if (decision === 'allow') return;
  }
  throw refuse(request, `user not permitted to ${verb} requests with signerName ${JSON.stringify(signer)}`);
}
