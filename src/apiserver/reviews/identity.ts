/** SelfSubjectReview and TokenReview: who somebody is. */
import type { TokenReview, UserInfo } from '#types';
import { badRequest } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import type { User } from '../../auth/user.js';
import type { Context, Result } from '../context.js';
import { decodeResource } from '../handlers/body.js';

const userInfo = ({ name, uid, groups, extra }: User): UserInfo => ({
  username: name,
  ...(uid === undefined ? {} : { uid }),
  groups,
  ...(extra === undefined ? {} : { extra }),
});

/** The created review with its answer. */
export function answered(object: KubeObject, status: object): Result {
  const { metadata, ...rest } = object;
  return { type: 'object', code: 201, object: { ...rest, metadata, status } as KubeObject };
}

export async function reviewSelf(ctx: Context): Promise<Result> {
  const object = await decodeResource(ctx);
  return answered(object, { userInfo: userInfo(ctx.call.user) });
}

/** A token that is not good is an answer, not an error. */
export async function reviewToken(ctx: Context): Promise<Result> {
  const object = await decodeResource(ctx);
  const { token, audiences } = (object as unknown as TokenReview).spec ?? {};
  if (!token) throw badRequest('token is required for TokenReview in authentication');
  const wanted = audiences?.length ? audiences : (ctx.tokens?.audiences ?? []);
  try {
    const found = await ctx.review(token, wanted);
    if (found)
      return answered(object, {
        authenticated: true,
        user: userInfo(found.user),
        audiences: found.audiences,
      });
    return answered(object, { user: {} });
  } catch {
    return answered(object, { user: {}, error: 'invalid bearer token' });
  }
}
