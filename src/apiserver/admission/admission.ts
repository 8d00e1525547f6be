/** Admission: plugins that may change an object on its way to the store, or turn it away. */
import { forbidden, type StatusError } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import type { Resource } from '../../api/resources/define.js';
import type { User } from '../../auth/user.js';
import type { Write } from '../../store/store.js';
import type { AdmissionMeasures, Step } from './measures.js';

export interface AdmissionRequest {
  operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';
  resource: Resource;
  subresource: string;
  namespace: string;
  /** Empty while a name is still to be generated. */
  name: string;
  /** A draft that `admit` may change; undefined for DELETE. */
  object: KubeObject | undefined;
  /** Frozen; undefined for CREATE. */
  old: KubeObject | undefined;
  user: User;
  dryRun: boolean;
  /** The CreateOptions, UpdateOptions, PatchOptions or DeleteOptions of the request. */
  options?: Record<string, unknown>;
  warnings: string[];
  /** The second round of `admit`: webhooks or policies changed the object in the first, after others had seen it. */
  reinvoked?: boolean;
  /** Filled by plugins: what the audit log tells of the request. */
  auditAnnotations?: Record<string, string>;
  /** Hands such an annotation on as soon as it is made: also a request that is turned away has them. */
  annotate?(key: string, value: string): void;
  /** Filled by plugins: what must be written together with the object. Asked again after a lost race; throws StatusError. */
  bookings?: (() => Promise<Write[]>)[];
}

/** What a request must write besides its object. */
export async function bookedWrites({ bookings = [] }: AdmissionRequest): Promise<Write[]> {
  return (await Promise.all(bookings.map((book) => book()))).flat();
}

/** `admit` runs first for all plugins and may change `object`; `validate` sees what they made of it. Both throw StatusError. */
export interface AdmissionPlugin {
  name: string;
  admit?(request: AdmissionRequest): void | Promise<void>;
  validate?(request: AdmissionRequest): void | Promise<void>;
}

export interface Admission {
  admit(request: AdmissionRequest): Promise<void>;
  validate(request: AdmissionRequest): Promise<void>;
}

const reinvocations = new WeakSet<AdmissionRequest>();

/** The object was changed: all plugins get to see it once more. */
export function requestReinvocation(request: AdmissionRequest): void {
  if (!request.reinvoked) reinvocations.add(request);
}

/** Runs plugins in their order. */
export function createAdmission(plugins: AdmissionPlugin[], measures?: AdmissionMeasures): Admission {
  const mutating = plugins.filter((plugin) => plugin.admit);
  const validating = plugins.filter((plugin) => plugin.validate);
  const each = async (of: AdmissionPlugin[], step: Step, request: AdmissionRequest) => {
    for (const plugin of of) {
      if (measures) await measures.controller(plugin.name, step, request, () => plugin[step]!(request));
      else await plugin[step]!(request);
    }
  };
  const admit = async (request: AdmissionRequest) => {
    await each(mutating, 'admit', request);
    if (!reinvocations.delete(request)) return;
    request.reinvoked = true;
    await each(mutating, 'admit', request);
  };
  const validate = (request: AdmissionRequest) => each(validating, 'validate', request);
  if (!measures) return { admit, validate };
  return {
    admit: (request) => measures.step('admit', request, () => admit(request)),
    validate: (request) => measures.step('validate', request, () => validate(request)),
  };
}

/** Tells the audit log something of the request. */
export function annotateAudit(request: AdmissionRequest, key: string, value: string): void {
  request.auditAnnotations = { ...request.auditAnnotations, [key]: value };
  request.annotate?.(key, value);
}

/** Whether a pod that runs gets other amounts (KEP-1287). */
export const isResize = ({ resource, operation, subresource }: AdmissionRequest): boolean =>
  resource.group === '' && resource.plural === 'pods' && operation === 'UPDATE' && subresource === 'resize';

/** 403 as upstream's `admission.NewForbidden` words it. */
export function refuse({ resource, name, object }: AdmissionRequest, why: string): StatusError {
  const known = name || object?.metadata.name || object?.metadata.generateName || 'Unknown';
  return forbidden({ group: resource.group, resource: resource.plural }, known, why);
}
