/** Which handlers serve the subresources of a resource, by verb. */
import type { Resource } from '../../api/resources/define.js';
import type { Context, Result } from '../context.js';
import { getObject } from '../handlers/get.js';
import { patchObject } from '../handlers/patch.js';
import { updateObject } from '../handlers/update.js';
import { bindPod } from './binding.js';
import { finalizeNamespace } from './finalize.js';

export type Handlers = Partial<Record<string, (ctx: Context) => Result | Promise<Result>>>;

const STATUS: Handlers = { get: getObject, update: updateObject, patch: patchObject };

const SPECIAL: Record<string, Handlers> = {
  'pods/binding': { create: bindPod },
  'namespaces/finalize': { update: finalizeNamespace },
};

export function subresources(resource: Resource, name: string): Handlers | undefined {
  if (name === 'status') return STATUS;
  return SPECIAL[`${resource.plural}/${name}`];
}
