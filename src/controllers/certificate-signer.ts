/**
 * Signs approved requests for client certificates of the cluster's CA.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers
 */
import type { CertificateSigningRequest } from '#types';
import { isReason } from '../api/machinery/status.js';
import { certificateSigningRequests } from '../api/resources/index.js';
import { type Controller, type ControllersOptions, contextOf, WorkLoop } from './context.js';

const CLIENT = 'kubernetes.io/kube-apiserver-client';
const KUBELET = 'kubernetes.io/kube-apiserver-client-kubelet';
const CLIENT_USAGES = new Set(['client auth', 'digital signature', 'key encipherment']);
const DAY = 24 * 60 * 60;
const DEFAULT_DAYS = 365;

export function startCertificateSigner(options: ControllersOptions): Controller {
  const context = contextOf(options, 'certificate-controller');
  const all = context.informers.of(certificateSigningRequests);
  const client = context.client.of(certificateSigningRequests);

  const reconcile = async (name: string): Promise<void> => {
    const csr = all.get(name);
    if (!csr || !context.signCsr || !isDue(csr)) return;
    const status = await sign(csr, context.signCsr);
    try {
      await client.updateStatus({ ...csr, status: { ...csr.status, ...status } });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  };

  const loop = new WorkLoop(context, [all.synced], reconcile, 1);
  const changed = ({ metadata }: CertificateSigningRequest) => loop.queue.add(metadata.name);
  loop.onClose(all.on({ added: changed, updated: (_, csr) => changed(csr) }));
  return loop;
}

function isDue({ spec, status }: CertificateSigningRequest): boolean {
  const has = (type: string) => status?.conditions?.some((c) => c.type === type && c.status === 'True');
  const ours = spec.signerName === CLIENT || spec.signerName === KUBELET;
  return ours && Boolean(has('Approved')) && !has('Denied') && !has('Failed') && !status?.certificate;
}

async function sign(
  { spec, status }: CertificateSigningRequest,
  signCsr: NonNullable<ControllersOptions['signCsr']>,
): Promise<CertificateSigningRequest['status']> {
  const usages = spec.usages ?? [];
  try {
    if (!usages.includes('client auth') || !usages.every((usage) => CLIENT_USAGES.has(usage)))
      throw new Error('invalid usages for client certificate');
    const pem = Buffer.from(spec.request, 'base64').toString();
    const days = spec.expirationSeconds === undefined ? DEFAULT_DAYS : spec.expirationSeconds / DAY;
    const certificate = await signCsr(pem, days, spec.signerName === KUBELET);
    return { certificate: Buffer.from(certificate).toString('base64') };
  } catch (error) {
    const failed = { type: 'Failed', status: 'True', reason: 'SignerValidationFailure' };
    return { conditions: [...(status?.conditions ?? []), { ...failed, message: (error as Error).message }] };
  }
}
