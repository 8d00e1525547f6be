/**
 * Webhook authorization: another service is asked by a SubjectAccessReview.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/webhook/
 */
import type { SubjectAccessReview } from '#types';
import type { Clock } from '../../api/machinery/clock.js';
import type { Transport } from '../../client/transport.js';
import type { Answer, Attributes, Authorizer } from '../user.js';
import { selectorsOf } from './selectors.js';

export interface WebhookAuthorizerOptions {
  transport: Transport;
  clock: Clock;
  /** How long (ms) what was allowed is remembered; 5 minutes when absent. */
  allowedTtlMs?: number;
  /** The same for what was not; 30 s when absent. */
  deniedTtlMs?: number;
  /** What counts when the service does not answer. */
  failure: 'no-opinion' | 'deny';
}

const MAX_ANSWERS = 8192;

export function webhookAuthorizer(options: WebhookAuthorizerOptions): Authorizer {
  const { transport, clock, allowedTtlMs = 300_000, deniedTtlMs = 30_000, failure } = options;
  const known = new Map<string, { until: number; answer: Answer }>();
  return {
    async authorize(attributes) {
      const spec = specOf(attributes);
      const key = JSON.stringify(spec);
      const cached = known.get(key);
      if (cached && cached.until > clock.now()) return cached.answer;
      let answer: Answer;
      try {
        answer = await ask(transport, spec);
      } catch (error) {
        return { decision: failure, reason: `authorization webhook failed: ${(error as Error).message}` };
      }
      if (known.size >= MAX_ANSWERS) known.delete(known.keys().next().value!);
      const ttl = answer.decision === 'allow' ? allowedTtlMs : deniedTtlMs;
      known.set(key, { until: clock.now() + ttl, answer });
      return answer;
    },
    rulesFor: () => ({
      rules: [],
      incomplete: true,
      errors: ['webhook authorizer does not support user rule resolution'],
    }),
  };
}

function specOf({ user, ...a }: Attributes): SubjectAccessReview['spec'] {
  const where = a.isResource
    ? {
        resourceAttributes: {
          ...(a.namespace ? { namespace: a.namespace } : {}),
          verb: a.verb,
          ...(a.group ? { group: a.group } : {}),
          version: a.version,
          resource: a.resource,
          ...(a.subresource ? { subresource: a.subresource } : {}),
          ...(a.name ? { name: a.name } : {}),
          ...selectorsOf(a),
        },
      }
    : { nonResourceAttributes: { path: a.path, verb: a.verb } };
  return {
    ...where,
    user: user.name,
    groups: user.groups,
    ...(user.uid ? { uid: user.uid } : {}),
    ...(user.extra ? { extra: user.extra } : {}),
  };
}

async function ask(transport: Transport, spec: SubjectAccessReview['spec']): Promise<Answer> {
  const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec };
  const { status } = (await transport.request({
    method: 'POST',
    path: '',
    body,
  })) as unknown as SubjectAccessReview;
  const reason = status?.reason ?? '';
  if (status?.allowed && !status.denied) return { decision: 'allow', reason };
  return { decision: status?.denied ? 'deny' : 'no-opinion', reason };
}
