/** Turns away what the authorizer does not allow, in upstream's words. */
import { forbidden, StatusError } from '../../api/machinery/status.js';
import type { Attributes, Authorizer } from '../../auth/user.js';

/** Why the request is allowed; throws 403 if it is not. */
export async function authorize(authorizer: Authorizer, attributes: Attributes): Promise<string> {
  const { decision, reason } = await authorizer.authorize(attributes);
  if (decision === 'allow') return reason;
  throw forbiddenError(attributes, reason);
}

function forbiddenError(attributes: Attributes, reason: string): StatusError {
  const { user, verb, path, isResource, group, resource, subresource, namespace, name } = attributes;
  const suffix = reason === '' ? '' : `: ${reason}`;
  if (!isResource) {
    const message = `forbidden: User ${JSON.stringify(user.name)} cannot ${verb} path ${JSON.stringify(path)}${suffix}`;
    return new StatusError(403, 'Forbidden', message, {});
  }
  const what = subresource === '' ? resource : `${resource}/${subresource}`;
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
  return forbidden(
    { group, resource },
    name,
    `User ${JSON.stringify(user.name)} cannot ${verb} resource ${JSON.stringify(what)} in API group ${JSON.stringify(group)} ${where}${suffix}`,
  );
}
