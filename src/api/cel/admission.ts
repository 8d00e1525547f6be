/** What expressions of admission can name: the request, the objects, parameters and the policy's own variables. */
import { createEnvironment, type Environment, type Program } from './env.js';
import { AUTHORIZER, RESOURCE_CHECK } from './library/authorizer.js';
import { BOOL, DYN, formatType, listOf, mapOf, objectOf, STRING, type Type } from './types.js';
import { sameType } from './unify.js';

const KIND = objectOf('kubernetes.GroupVersionKind', { group: STRING, version: STRING, kind: STRING });
const RESOURCE = objectOf('kubernetes.GroupVersionResource', {
  group: STRING,
  version: STRING,
  resource: STRING,
});
const USER = objectOf('kubernetes.UserInfo', {
  username: STRING,
  uid: STRING,
  groups: listOf(STRING),
  extra: mapOf(STRING, listOf(STRING)),
});
const REQUEST = objectOf('kubernetes.AdmissionRequest', {
  kind: KIND,
  resource: RESOURCE,
  subResource: STRING,
  requestKind: KIND,
  requestResource: RESOURCE,
  requestSubResource: STRING,
  name: STRING,
  namespace: STRING,
  operation: STRING,
  userInfo: USER,
  dryRun: BOOL,
  options: DYN,
});

const TIME = { kind: 'timestamp', name: 'timestamp', params: [] } as const satisfies Type;
const NAMESPACE = objectOf('kubernetes.Namespace', {
  metadata: objectOf('kubernetes.NamespaceMetadata', {
    name: STRING,
    generateName: STRING,
    namespace: STRING,
    labels: mapOf(STRING, STRING),
    annotations: mapOf(STRING, STRING),
    UID: STRING,
    creationTimestamp: TIME,
    deletionGracePeriodSeconds: DYN,
    deletionTimestamp: TIME,
    generation: DYN,
    resourceVersion: STRING,
    finalizers: listOf(STRING),
  }),
  spec: objectOf('kubernetes.NamespaceSpec', { finalizers: listOf(STRING) }),
  status: objectOf('kubernetes.NamespaceStatus', { phase: STRING }),
});

export interface AdmissionScope {
  /** Whether there is a parameter resource. */
  params?: boolean;
  authorizer?: boolean;
  /** Of the object and the old one; dyn when absent. */
  object?: Type;
  paramsType?: Type;
  /** The policy's own, in the order of their declaration. */
  variables?: ReadonlyMap<string, Type>;
}

/** The environment of admission expressions. */
export function admissionEnvironment({
  params = false,
  authorizer = true,
  object = DYN,
  paramsType = DYN,
  variables,
}: AdmissionScope): Environment {
  return createEnvironment({
    variables: {
      object,
      oldObject: object,
      request: REQUEST,
      namespaceObject: NAMESPACE,
      ...(params && { params: paramsType }),
      ...(authorizer && { authorizer: AUTHORIZER, 'authorizer.requestResource': RESOURCE_CHECK }),
      ...(variables && { variables: variablesType(variables) }),
    },
  });
}

const variablesType = (variables: ReadonlyMap<string, Type>): Type =>
  objectOf('kubernetes.variables', Object.fromEntries(variables));

/** A program that gives one of the types (any, if none is named), or what is wrong in upstream's words. */
export type Expression = { source: string } & ({ program: Program } | { error: string });

export function compileFor(environment: Environment, source: string, wanted: readonly Type[]): Expression {
  const compiled = environment.compile(source);
  if ('issues' in compiled) return { source, error: `compilation failed: ${compiled.text}` };
  const { program } = compiled;
  if (wanted.length === 0 || wanted.some((type) => sameType(type, program.type))) return { source, program };
  const names = wanted.map(formatType);
  const what = names.length === 1 ? names[0] : `one of [${names.join(' ')}]`;
  return { source, error: `must evaluate to ${what} but got ${formatType(program.type)}` };
}

/** The expressions of a policy's variables, each of which may name those before it, and their types. */
export function compileVariables(
  scope: AdmissionScope,
  declared: readonly { name?: string; expression?: string }[],
  environmentOf: (scope: AdmissionScope) => Environment = admissionEnvironment,
): { expressions: Map<string, Expression>; types: Map<string, Type> } {
  const expressions = new Map<string, Expression>();
  const types = new Map<string, Type>();
  for (const { name = '', expression = '' } of declared) {
    const compiled = compileFor(environmentOf({ ...scope, variables: types }), expression, []);
    expressions.set(name, compiled);
    types.set(name, 'program' in compiled ? compiled.program.type : DYN);
  }
  return { expressions, types };
}
