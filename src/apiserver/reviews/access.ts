/** SubjectAccessReview and its kin: what somebody may do. */
import type { NonResourceAttributes, ResourceAttributes, SubjectAccessReview } from '#types';
import { type FieldError, invalid as invalidField, required } from '../../api/machinery/field.js';
import { badRequest, invalid } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import type { Attributes, User } from '../../auth/user.js';
import type { Context, Result } from '../context.js';
import { decodeResource } from '../handlers/body.js';
import { answered } from './identity.js';

interface Question {
  resourceAttributes?: ResourceAttributes;
  nonResourceAttributes?: NonResourceAttributes;
}

export async function reviewOwnAccess(ctx: Context): Promise<Result> {
  const object = await decodeResource(ctx);
  return ask(ctx, object, ctx.call.user, object['spec'] ?? {});
}

export async function reviewAccess(ctx: Context): Promise<Result> {
  const object = await decodeResource(ctx);
  return ask(ctx, object, subjectOf(ctx, object), object['spec'] ?? {});
}

export async function reviewLocalAccess(ctx: Context): Promise<Result> {
  const object = await decodeResource(ctx);
  const namespace = object['spec']?.resourceAttributes?.namespace;
  if (namespace !== ctx.attributes.namespace)
    refuse(ctx, [
      invalidField('spec.resourceAttributes.namespace', namespace ?? '', 'must match metadata.namespace'),
    ]);
  return ask(ctx, object, subjectOf(ctx, object), object['spec'] ?? {});
}

function subjectOf(ctx: Context, object: KubeObject): User {
  const spec: SubjectAccessReview['spec'] = object['spec'] ?? {};
  if (!spec.user && !spec.groups?.length)
    refuse(ctx, [required('spec.user', 'at least one of user or group must be specified')]);
  return { name: spec.user ?? '', uid: spec.uid, groups: spec.groups ?? [], extra: spec.extra };
}

function refuse({ resource }: Context, errors: FieldError[]): never {
  throw invalid(resource.group, resource.kind, '', errors);
}

async function ask(ctx: Context, object: KubeObject, user: User, question: Question): Promise<Result> {
  const { resourceAttributes: r, nonResourceAttributes: n } = question;
  if ((r === undefined) === (n === undefined))
    refuse(ctx, [
      invalidField(
        'spec.resourceAttributes',
        r ?? null,
        'exactly one of nonResourceAttributes or resourceAttributes must be specified',
      ),
    ]);
  const attributes: Attributes = {
    user,
    verb: r?.verb ?? n?.verb ?? '',
    isResource: r !== undefined,
    group: r?.group ?? '',
    version: r?.version ?? '',
    resource: r?.resource ?? '',
    subresource: r?.subresource ?? '',
    namespace: r?.namespace ?? '',
    name: r?.name ?? '',
    path: n?.path ?? '',
  };
  const { decision, reason } = await ctx.authorizer.authorize(attributes);
  return answered(object, {
    allowed: decision === 'allow',
    ...(decision === 'deny' ? { denied: true } : {}),
    ...(reason === '' ? {} : { reason }),
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
