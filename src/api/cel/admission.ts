/** What expressions of admission can name: the request, the objects, parameters and the policy's own variables. */
import { createEnvironment, type Environment } from './env.js';
import { AUTHORIZER, RESOURCE_CHECK } from './library/authorizer.js';
import { BOOL, DYN, listOf, mapOf, objectOf, STRING, type Type } from './types.js';

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
