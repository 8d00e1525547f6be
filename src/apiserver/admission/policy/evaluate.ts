/** Evaluates admission expressions for a request. */
import {
  type AccessDecision,
  type AccessQuestion,
  type AskAccess,
  authorizerValue,
  type Expression,
  requestResourceValue,
  type Value,
} from '../../../api/cel/index.js';
import type { KubeObject } from '../../../api/machinery/types.js';
import type { Authorizer, User } from '../../../auth/user.js';
import type { ConversionWebhook } from '../../extensions/convert.js';
import type { AdmissionRequest } from '../admission.js';
import { objectsOf } from '../convert.js';
import { kindOf, type Matched, resourceOf } from '../matching.js';

/** What expressions see of one request. */
export interface Inputs {
  values: Record<string, unknown>;
}

/** Thrown out of an evaluation whose authorizer answers later; it starts again then. */
class Pending extends Error {
  constructor(readonly answer: Promise<void>) {
    super('waiting for an authorizer');
  }
}

export interface Evaluated {
  value?: Value;
  error?: string;
  cost: number;
}

/** A failed compilation fails each evaluation. Messages are worded as upstream's. */
export async function evaluate(expression: Expression, inputs: Inputs, budget: number): Promise<Evaluated> {
  if ('error' in expression) return { error: `compilation error: ${expression.error}`, cost: 0 };
  for (;;) {
    try {
      const outcome = expression.program.evaluate(inputs.values, Math.max(0, budget));
      const { cost } = outcome;
      if (!('error' in outcome)) return { value: outcome.value, cost };
      if (cost > budget) return { error: OUT_OF_BUDGET, cost };
      return { error: `expression '${expression.source}' resulted in error: ${outcome.error.message}`, cost };
    } catch (error) {
      if (!(error instanceof Pending)) throw error;
      await error.answer;
    }
  }
}

const OUT_OF_BUDGET =
  'validation failed due to running out of cost budget, no further validation rules will be run';

/** The request as expressions and webhooks see it, without its objects. */
export function admissionRequest(request: AdmissionRequest, matched: Matched): Record<string, unknown> {
  const { resource, subresource, name, namespace, operation, user, dryRun, options } = request;
  return {
    kind: matched.kind,
    resource: matched.resource,
    ...(matched.subresource && { subResource: matched.subresource }),
    requestKind: kindOf(request),
    requestResource: resourceOf(resource),
    ...(subresource && { requestSubResource: subresource }),
    ...(name && { name }),
    ...(namespace && { namespace }),
    operation,
    userInfo: userInfo(user),
    dryRun,
    options: options ?? null,
  };
}

const userInfo = ({ name, uid, groups, extra }: User): Record<string, unknown> => ({
  username: name,
  ...(uid && { uid }),
  groups,
  ...(extra && { extra }),
});

/** What expressions see of the request. */
export async function inputsOf(
  { authorizer, convert }: { authorizer: Authorizer; convert: ConversionWebhook },
  request: AdmissionRequest,
  matched: Matched,
  namespaceObject?: KubeObject,
): Promise<Inputs> {
  const { object, old } = await objectsOf(convert, request, matched);
  const ask = askAuthorizer(authorizer, request.user);
  const { group, plural } = request.resource;
  const { subresource, namespace, name } = request;
  return {
    values: {
      object: object ?? null,
      oldObject: old ?? null,
      request: admissionRequest(request, matched),
      namespaceObject: namespaceObject ?? null,
      authorizer: authorizerValue(ask),
      'authorizer.requestResource': requestResourceValue(ask, {
        group,
        resource: plural,
        subresource,
        namespace,
        name,
      }),
    },
  };
}

/** Remembers answers: a question is put to the authorizer once a request. */
function askAuthorizer(authorizer: Authorizer, user: User): AskAccess {
  const answers = new Map<string, AccessDecision>();
  return (question) => {
    const key = JSON.stringify(question);
    const known = answers.get(key);
    if (known) return known;
    const answer = authorizer.authorize(attributesOf(question, user));
    const keep = ({ decision, reason }: Awaited<typeof answer>): AccessDecision => {
      const made = { allowed: decision === 'allow', reason };
      answers.set(key, made);
      return made;
    };
    if (!(answer instanceof Promise)) return keep(answer);
    throw new Pending(
      answer.then(
        (given) => void keep(given),
        (error) => void answers.set(key, { allowed: false, reason: '', error: (error as Error).message }),
      ),
    );
  };
}

function attributesOf(question: AccessQuestion, user: User) {
  const { serviceAccount, verb, path, group, resource, subresource, namespace, name, fieldSelector } =
    question;
  const account = serviceAccount && serviceAccountUser(serviceAccount);
  return {
    user: account ?? user,
    verb,
    isResource: path === undefined,
    group,
    version: path === undefined ? '*' : '',
    resource,
    subresource,
    namespace,
    name,
    path: path ?? '',
    ...(fieldSelector && { fieldSelector }),
  };
}

const serviceAccountUser = ({ namespace, name }: { namespace: string; name: string }): User => ({
  name: `system:serviceaccount:${namespace}:${name}`,
  groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
});
