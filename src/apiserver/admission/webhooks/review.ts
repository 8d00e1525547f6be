/** AdmissionReviews: what a webhook is asked, and what its answer has to look like. */
import { randomUUID } from 'node:crypto';
import type { ConversionWebhook } from '../../extensions/convert.js';
import type { AdmissionRequest } from '../admission.js';
import { objectsOf } from '../convert.js';
import type { Matched } from '../matching.js';
import { admissionRequest } from '../policy/evaluate.js';

export interface Review {
  apiVersion: string;
  kind: 'AdmissionReview';
  request: Record<string, unknown> & { uid: string };
}

export interface Verdict {
  allowed: boolean;
  status?: { code?: number; reason?: string; message?: string; details?: object };
  patch?: unknown;
  auditAnnotations?: Record<string, string>;
  warnings?: string[];
}

const SUPPORTED = ['v1', 'v1beta1'];

/** In the first version of `versions` that is supported. Throws Error if there is none. */
export async function createReview(
  convert: ConversionWebhook,
  request: AdmissionRequest,
  matched: Matched,
  versions: readonly string[],
): Promise<Review> {
  const version = versions.find((each) => SUPPORTED.includes(each));
  if (!version)
    throw new Error(
      'could not create admission objects: webhook does not accept known AdmissionReview versions (v1, v1beta1)',
    );
  const { object, old } = await objectsOf(convert, request, matched);
  return {
    apiVersion: `admission.k8s.io/${version}`,
    kind: 'AdmissionReview',
    request: {
      uid: randomUUID(),
      ...admissionRequest(request, matched),
      object: object ?? null,
      oldObject: old ?? null,
    },
  };
}

/** Reads the answer to a review. Throws Error with what is wrong about it. */
export function readVerdict(asked: Review, answer: any, mutating: boolean): Verdict {
  const strict = asked.apiVersion.endsWith('/v1');
  if (strict || answer?.kind || answer?.apiVersion) {
    const found = describe(answer?.apiVersion ?? '', answer?.kind ?? '');
    const wanted = describe(asked.apiVersion, asked.kind);
    if (found !== wanted) throw new Error(`expected webhook response of ${wanted}, got ${found}`);
  }
  const response = answer?.response;
  if (!response) throw new Error('webhook response was absent');
  if (strict && response.uid !== asked.request.uid)
    throw new Error(
      `expected response.uid=${JSON.stringify(asked.request.uid)}, got ${JSON.stringify(response.uid ?? '')}`,
    );
  const { allowed, status, auditAnnotations, warnings } = response;
  const patch = readPatch(response, strict, mutating);
  return {
    allowed: allowed === true,
    status,
    auditAnnotations,
    warnings,
    ...(patch !== undefined && { patch }),
  };
}

function describe(apiVersion: string, kind: string): string {
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
  return `${group}/${version}, Kind=${kind}`;
}

function readPatch(response: any, strict: boolean, mutating: boolean): unknown {
  const { patch = '', patchType } = response;
  const hasPatch = patch !== null && patch !== '';
  if (!mutating) {
    if (!strict) return undefined;
    if (hasPatch) throw new Error('validating webhook may not return response.patch');
    if (patchType) throw new Error('validating webhook may not return response.patchType');
    return undefined;
  }
  if (strict && hasPatch && !patchType)
    throw new Error('webhook returned response.patch but not response.patchType');
  if (strict && !hasPatch && patchType)
    throw new Error('webhook returned response.patchType but not response.patch');
  if (patchType && patchType !== 'JSONPatch')
    throw new Error(`webhook returned invalid response.patchType of ${JSON.stringify(patchType)}`);
  if (!hasPatch) return undefined;
  try {
    return JSON.parse(Buffer.from(String(patch), 'base64').toString());
  } catch (error) {
    throw new Error(`received undecodable patch in webhook response: ${(error as Error).message}`);
  }
}
