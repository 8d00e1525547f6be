/**
 * Asks conversion webhooks for objects in other versions (ConversionReview).
 * @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#webhook-conversion
 */
import { randomUUID } from 'node:crypto';
import { isMap } from '../../api/extensions/schema.js';
import { internalError } from '../../api/machinery/status.js';
import { deepCopy, type KubeObject, parseApiVersion } from '../../api/machinery/types.js';
import { REVIEW_VERSIONS } from '../../api/resources/apiextensions/validate-conversion.js';
import type { Deps } from '../context.js';
import type { ConversionWebhook } from './convert.js';

/** Upstream's limit for a conversion. */
const TIMEOUT_MS = 30_000;

export function conversionWebhook({
  webhooks,
  closing,
}: Pick<Deps, 'webhooks'> & Partial<Pick<Deps, 'closing'>>): ConversionWebhook {
  return async ({ crd }, objects, apiVersion) => {
    if (objects.length === 0) return [];
    const { clientConfig, conversionReviewVersions = [] } = crd.spec.conversion?.webhook ?? {};
    const version = conversionReviewVersions.find((one) => REVIEW_VERSIONS.includes(one)) ?? 'v1';
    const uid = randomUUID();
    const review = {
      kind: 'ConversionReview',
      apiVersion: `apiextensions.k8s.io/${version}`,
      request: { uid, desiredAPIVersion: apiVersion, objects },
    };
    const fail = (why: string) => {
      const { group, version: from } = parseApiVersion(objects[0]!.apiVersion);
      return internalError(
        new Error(`conversion webhook for ${group}/${from}, Kind=${objects[0]!.kind} failed: ${why}`),
      );
    };
    let answer: unknown;
    try {
      answer = await webhooks.post({ ...clientConfig }, review, {
        timeoutMs: TIMEOUT_MS,
        ...(closing && { signal: closing }),
      });
    } catch (error) {
      throw fail((error as Error).message);
    }
    return converted(answer, uid, objects, apiVersion, fail);
  };
}

function converted(
  answer: unknown,
  uid: string,
  objects: KubeObject[],
  apiVersion: string,
  fail: (why: string) => Error,
): KubeObject[] {
  const response = isMap(answer) && isMap(answer['response']) ? answer['response'] : undefined;
  if (response === undefined) throw fail('invalid response: no response provided');
  if (response['uid'] !== uid)
    throw fail(
      `invalid response: expected uid ${JSON.stringify(uid)}, got ${JSON.stringify(response['uid'] ?? '')}`,
    );
  if (response['result']?.status !== 'Success')
    throw fail(response['result']?.message || 'webhook returned failure without a message');
  const results: unknown = response['convertedObjects'];
  if (!Array.isArray(results) || results.length !== objects.length)
    throw fail(
      `invalid response: expected ${objects.length} converted objects, got ${Array.isArray(results) ? results.length : 0}`,
    );
  return results.map((result, i) => checked(result, objects[i]!, i, apiVersion, fail));
}

/** A webhook may change labels and annotations, and nothing else of metadata. */
function checked(
  result: unknown,
  original: KubeObject,
  i: number,
  apiVersion: string,
  fail: (why: string) => Error,
): KubeObject {
  const at = `invalid response: invalid converted object at index ${i}`;
  if (!isMap(result)) throw fail(`${at}: no object`);
  if (result['apiVersion'] !== apiVersion)
    throw fail(`${at}: invalid groupVersion (expected ${apiVersion}, received ${result['apiVersion']})`);
  if (result['kind'] !== original.kind)
    throw fail(`${at}: invalid kind (expected ${original.kind}, received ${result['kind']})`);
  const metadata = result['metadata'];
  if (!isMap(metadata)) throw fail(`${at}: invalid metadata`);
  for (const field of ['name', 'namespace', 'uid'] as const)
    if ((metadata[field] ?? '') !== (original.metadata[field] ?? ''))
      throw fail(`${at}: invalid metadata of object at index ${i}: metadata.${field} was changed`);
  const { apiVersion: _v, kind, metadata: _m, ...rest } = result;
  const kept: KubeObject['metadata'] = deepCopy(original.metadata);
  for (const field of ['labels', 'annotations'] as const) {
    if (metadata[field]) kept[field] = metadata[field];
    else delete kept[field];
  }
  return { apiVersion, kind, metadata: kept, ...rest } as KubeObject;
}
