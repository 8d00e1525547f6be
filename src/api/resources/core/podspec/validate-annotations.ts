/** Validation of the annotations of a pod that reach into its spec. */
import type { ObjectMeta, PodSpec } from '#types';
import { type FieldError, invalid, key } from '../../../machinery/field.js';
import { visitContainers } from './containers.js';

const APPARMOR_PREFIX = 'container.apparmor.security.beta.kubernetes.io/';

/** Annotations that reach into the spec: mirror pods, AppArmor, deletion cost. */
export function validatePodAnnotations(
  meta: Pick<ObjectMeta, 'annotations'> | undefined,
  spec: PodSpec,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  const containers = new Set<string>();
  visitContainers(spec, '', (container) => containers.add(container.name));
  for (const [name, value] of Object.entries(meta?.annotations ?? {})) {
    const at = key(path, name);
    if (name === 'kubernetes.io/config.mirror' && !spec.nodeName)
      errors.push(invalid(at, value, 'must set spec.nodeName if mirror pod annotation is set'));
    if (name === 'controller.kubernetes.io/pod-deletion-cost' && !isInt32(value))
      errors.push(invalid(at, value, 'must be a 32bit integer'));
    if (name.startsWith(APPARMOR_PREFIX)) {
      const container = name.slice(APPARMOR_PREFIX.length);
      if (!containers.has(container)) errors.push(invalid(at, container, 'container not found'));
      if (value !== '' && !/^(runtime\/default|unconfined)$|^localhost\//.test(value))
        errors.push(invalid(at, value, `invalid AppArmor profile name: ${JSON.stringify(value)}`));
    }
  }
  return errors;
}

/** Upstream parses it with strconv and refuses a leading plus or zero. */
function isInt32(value: string): boolean {
  if (!/^(0|-?[1-9][0-9]*)$/.test(value)) return false;
  const number = Number(value);
  return number >= -(2 ** 31) && number < 2 ** 31;
}
