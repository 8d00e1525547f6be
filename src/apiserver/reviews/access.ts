/** SubjectAccessReview and its kin: what somebody may do. */
import type { NonResourceAttributes, ResourceAttributes, SubjectAccessReview } from '#types';
import type { FieldError } from '../../api/machinery/field.js';
import { badRequest, invalid } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import type { Attributes, User } from '../../auth/user.js';
import type { Context, Result } from '../context.js';
import { decodeResource } from '../handlers/body.js';
import { answered } from './identity.js';
import { askedSelectors } from './selectors.js';
import { validateAccess, validateLocalAccess, validateOwnAccess } from './validate-access.js';

interface Question {
  resourceAttributes?: ResourceAttributes;
  nonResourceAttributes?: NonResourceAttributes;
}

export async function reviewOwnAccess(ctx: Context): Promise<Result> {
  const object = await decodeResource(ctx);
  refuse(ctx, validateOwnAccess(object));
  return ask(ctx, object, ctx.call.user);
}

export async function reviewAccess(ctx: Context): Promise<Result> {
  const object = await decodeResource(ctx);
  refuse(ctx, validateAccess(object));
  return ask(ctx, object, subjectOf(object));
}

export async function reviewLocalAccess(ctx: Context): Promise<Result> {
  const object = await decodeResource(ctx);
  refuse(ctx, validateLocalAccess(object, ctx.attributes.namespace));
  return ask(ctx, object, subjectOf(object));
}

function subjectOf(object: KubeObject): User {
  const spec: SubjectAccessReview['spec'] = object['spec'];
  return { name: spec.user ?? '', uid: spec.uid, groups: spec.groups ?? [], extra: spec.extra };
}

function refuse({ resource }: Context, errors: FieldError[]): void {
  if (errors.length > 0) throw invalid(resource.group, resource.kind, '', errors);
}

async function ask(ctx: Context, object: KubeObject, user: User): Promise<Result> {
  const { resourceAttributes: r, nonResourceAttributes: n }: Question = object['spec'];
  const { errors, ...selectors } = askedSelectors(r);
  const attributes: Attributes = {
    user,
    verb: r?.verb ?? n?.verb ?? '',
    isResource: r !== undefined,
    group: r?.group ?? '',
    version: r?.version || '*',
    resource: r?.resource ?? '',
    subresource: r?.subresource ?? '',
    namespace: r?.namespace ?? '',
    name: r?.name ?? '',
    path: n?.path ?? '',
    ...selectors,
  };
  const { decision, reason } = await ctx.authorizer.authorize(attributes);
  return answered(object, {
    allowed: decision === 'allow',
    ...(decision === 'deny' ? { denied: true } : {}),
    ...(reason === '' ? {} : { reason }),
    ...(errors.length > 0 ? { evaluationError: errors.join('; ') } : {}),
  });
}

/** What the asking user may do in a namespace, in rules. */
export async function reviewOwnRules(ctx: Context): Promise<Result> {
  const object = await decodeResource(ctx);
  const namespace: string = object['spec']?.namespace ?? '';
  if (namespace === '') throw badRequest('no namespace on request');
  const found = await ctx.authorizer.rulesFor?.(ctx.call.user, namespace);
  const { rules, incomplete, errors } = found ?? { rules: [], incomplete: true, errors: [] };
  const resourceRules = rules
    .filter(({ resources }) => resources?.length)
    .map(({ verbs, apiGroups, resources, resourceNames }) => ({
      verbs,
      apiGroups,
      resources,
      ...(resourceNames?.length ? { resourceNames } : {}),
    }));
  const nonResourceRules = rules
    .filter(({ nonResourceURLs }) => nonResourceURLs?.length)
    .map(({ verbs, nonResourceURLs }) => ({ verbs, nonResourceURLs }));
  return answered(
    { ...object, spec: {} },
    {
      resourceRules,
      nonResourceRules,
      incomplete,
      ...(errors.length > 0 ? { evaluationError: errors.join(', ') } : {}),
    },
  );
}
