/** Which handlers serve the subresources of a resource, by verb. */
import type { Resource } from '../../api/resources/define.js';
import type { Context, Result } from '../context.js';
import { getObject } from '../handlers/get.js';
import { patchObject } from '../handlers/patch.js';
import { updateObject } from '../handlers/update.js';
import { bindPod } from './binding.js';
import { evictPod } from './eviction.js';
import { getLog } from './log.js';
import { proxyRequest } from './proxy.js';
import { getScale, patchScale, updateScale } from './scale.js';
import { upgradeRequired } from './sessions.js';
import { createToken } from './token.js';

export type Handlers = Partial<Record<string, (ctx: Context) => Result | Promise<Result>>>;

const OBJECT: Handlers = { get: getObject, update: updateObject, patch: patchObject };
const SCALE: Handlers = { get: getScale, update: updateScale, patch: patchScale };
const SESSION: Handlers = { get: upgradeRequired, create: upgradeRequired };

const PROXY: Handlers = {
  get: proxyRequest,
  create: proxyRequest,
  update: proxyRequest,
  patch: proxyRequest,
  delete: proxyRequest,
  // OPTIONS is no verb.
  '': proxyRequest,
};

const SPECIAL: Record<string, Handlers> = {
  'nodes/proxy': PROXY,
  'pods/attach': SESSION,
  'pods/binding': { create: bindPod },
  'pods/eviction': { create: evictPod },
  'pods/exec': SESSION,
  'pods/log': { get: getLog },
  'pods/portforward': SESSION,
  'pods/proxy': PROXY,
  'serviceaccounts/token': { create: createToken },
  'services/proxy': PROXY,
};

/** Undefined for a subresource that is declared but not served. */
export function subresources(resource: Resource, name: string): Handlers | undefined {
  if (name === 'status' || resource.updates[name]) return OBJECT;
  if (name === 'scale' && resource.scale) return SCALE;
  return SPECIAL[`${resource.plural}/${name}`];
}
