/**
 * `imagePullCredentialsVerificationPolicy`: of which images that are on the node a pod has to show that it may have them.
 * @see https://kubernetes.io/docs/concepts/containers/images/#ensureimagepullcredentialverification
 */

import { parseReference } from '../../runtime/images/reference.js';
import { ImageError } from '../../runtime/types.js';

/** Whether a pod has to, by the image's `registry/repository` and whether the node has pulled it for a pod. */
export type Verification = (name: string, isPulled: boolean) => boolean;

const PRELOADED = 'NeverVerifyPreloadedImages';
const ALLOWED = 'NeverVerifyAllowlistedImages';

/** @throws Error that says what is wrong with the settings. */
export function verificationOf(policy = PRELOADED, allowed: string[] = []): Verification {
  if (allowed.length > 0 && policy !== ALLOWED)
    throw new Error(`--preloaded-images-verification-allowlist is for the policy ${ALLOWED} alone`);
  if (policy === 'NeverVerify') return () => false;
  if (policy === 'AlwaysVerify') return () => true;
  if (policy === PRELOADED) return (_name, isPulled) => isPulled;
  if (policy !== ALLOWED)
    throw new Error(
      `--image-pull-credentials-verification-policy is NeverVerify, ${PRELOADED}, ${ALLOWED} or AlwaysVerify`,
    );
  for (const pattern of allowed) checkPattern(pattern);
  return (name) =>
    !allowed.some((one) => (one.endsWith('/*') ? name.startsWith(one.slice(0, -1)) : name === one));
}

function checkPattern(pattern: string): void {
  const fail = (why: string): never => {
    throw new Error(`--preloaded-images-verification-allowlist: ${why}: ${pattern}`);
  };
  if (pattern !== pattern.trim()) fail('leading/trailing spaces are not allowed');
  const start = pattern.endsWith('/*') ? pattern.slice(0, -2) : pattern;
  if (start.includes('*')) fail("not a valid wildcard pattern, only patterns ending with '/*' are allowed");
  if (start === '') fail('at least registry hostname is required');
  if (start !== pattern) return;
  try {
    if (parseReference(pattern).name !== pattern)
      fail('it has to be a full name with its registry, without tag and digest');
  } catch (error) {
    if (error instanceof ImageError) fail(`failed to parse as an image name (${error.message})`);
    throw error;
  }
}
