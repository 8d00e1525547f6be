/**
 * CEL, the Common Expression Language, as Kubernetes has it: typed environments, messages in cel-go's words, and
 * evaluation that counts its cost.
 *
 * ```ts
 * const env = createEnvironment({ variables: { self: schemaType(schema, 'self', true)!, oldSelf: … } });
 * const compiled = env.compile('self.spec.replicas <= 10');
 * if ('issues' in compiled) throw new Error(`compilation failed: ${compiled.text}`);
 * const outcome = compiled.program.evaluate({ self: object }, budget);
 * ```
 *
 * https://kubernetes.io/docs/reference/using-api/cel/
 */
export { adapt, toJson } from './adapt.js';
export {
  type AdmissionScope,
  admissionEnvironment,
  compileFor,
  compileVariables,
  type Expression,
} from './admission.js';
export { func, method, type Overload } from './declare.js';
export { compileSelector, deviceInput } from './device.js';
export {
  type Compiled,
  createEnvironment,
  type Environment,
  type EnvironmentOptions,
  type Outcome,
  PER_CALL_LIMIT,
  type Program,
  returns,
} from './env.js';
export { CelError, CostError } from './errors.js';
export { escapeProperty } from './escape.js';
export { estimateCost } from './estimate.js';
export { customKindType, kindType } from './kind-type.js';
export {
  type AccessDecision,
  type AccessQuestion,
  type AskAccess,
  authorizerValue,
  requestResourceValue,
} from './library/authorizer.js';
export { APPLY_CONFIGURATION, JSON_PATCH, mutationEnvironment } from './mutation.js';
export { MAX_REQUEST, minSize, schemaType, type TypeSchema } from './schema-type.js';
export type { Issue } from './source.js';
export * from './types.js';
export * from './values.js';
