/** The cluster's CA as signer of CertificateSigningRequests. */
import { requestSubject } from '../auth/certificates.js';
import type { Pki } from '../auth/pki.js';

/** Certifies a request for the subject that it names; a kubelet's must be a node's. Rejects otherwise. */
export async function signForSubject(
  pki: Pki,
  csrPem: string,
  days: number,
  ofKubelet: boolean,
): Promise<string> {
  const { commonName, organizations } = await requestSubject(csrPem);
  const isNode = commonName.startsWith('system:node:') && organizations.join() === 'system:nodes';
  if (ofKubelet && !isNode)
    throw new Error('subject of a kubelet must be system:node:<name> of organization system:nodes');
  return pki.signCsr(csrPem, { commonName, organizations, days });
}
