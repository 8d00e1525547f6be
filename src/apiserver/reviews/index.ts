/** Kinds that are not stored: what is created is a question that is answered (reviews), or an order (Bindings). */
import { defineResource, type Resource } from '../../api/resources/define.js';
import type { Context, Result } from '../context.js';
import { createBinding } from '../subresources/binding.js';
import { reviewAccess, reviewLocalAccess, reviewOwnAccess, reviewOwnRules } from './access.js';
import { reviewSelf, reviewToken } from './identity.js';

type Handler = (ctx: Context) => Promise<Result>;

const AUTHENTICATION = 'authentication.k8s.io';
const AUTHORIZATION = 'authorization.k8s.io';

const review = (group: string, kind: string, plural: string, namespaced = false): Resource =>
  defineResource({ group, version: 'v1', kind, plural, namespaced, verbs: ['create'] });

const HANDLERS = new Map<Resource, Handler>([
  [review('', 'Binding', 'bindings', true), createBinding],
  [review(AUTHENTICATION, 'SelfSubjectReview', 'selfsubjectreviews'), reviewSelf],
  [review(AUTHENTICATION, 'TokenReview', 'tokenreviews'), reviewToken],
  [review(AUTHORIZATION, 'LocalSubjectAccessReview', 'localsubjectaccessreviews', true), reviewLocalAccess],
  [review(AUTHORIZATION, 'SelfSubjectAccessReview', 'selfsubjectaccessreviews'), reviewOwnAccess],
  [review(AUTHORIZATION, 'SelfSubjectRulesReview', 'selfsubjectrulesreviews'), reviewOwnRules],
  [review(AUTHORIZATION, 'SubjectAccessReview', 'subjectaccessreviews'), reviewAccess],
]);

export const reviews: Resource[] = [...HANDLERS.keys()];

/** The review of this name and what answers it. */
export function findReview(
  group: string,
  version: string,
  plural: string,
): { resource: Resource; handler: Handler } | undefined {
  for (const [resource, handler] of HANDLERS)
    if (resource.group === group && resource.version === version && resource.plural === plural)
      return { resource, handler };
  return undefined;
}
