/** Reads from method and path what a request is about (upstream `request.RequestInfoFactory`). */
import type { Attributes } from '../../auth/user.js';

export type RequestInfo = Omit<Attributes, 'user'>;

const VERBS: Record<string, string> = {
  POST: 'create',
  GET: 'get',
  HEAD: 'get',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** These words after a namespace's name are its subresources, not resources within it. */
const NAMESPACE_SUBRESOURCES = new Set(['status', 'finalize']);

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Never throws: what is not a resource's path is a non-resource request. */
export function requestInfo(method: string, path: string, query: URLSearchParams): RequestInfo {
  const info: RequestInfo = {
    verb: method.toLowerCase(),
    isResource: false,
    group: '',
    version: '',
    resource: '',
    subresource: '',
    namespace: '',
    name: '',
    path,
  };
  const parts = path
    .split('/')
    .filter((part) => part !== '')
    .map(decodePart);
  const root = parts.shift();
  if (root === 'apis') {
    if (parts.length < 3) return info;
    info.group = parts.shift()!;
  } else if (root !== 'api' || parts.length < 2) {
    return info;
  }
  info.version = parts.shift()!;
  info.isResource = true;
  const watched = parts[0] === 'watch' && parts.length > 1;
  if (watched) parts.shift();
  info.verb = watched ? 'watch' : (VERBS[method] ?? '');
  if (parts[0] === 'namespaces') {
    if (parts.length > 1) {
      info.namespace = parts[1]!;
      if (parts.length > 2 && !NAMESPACE_SUBRESOURCES.has(parts[2]!)) parts.splice(0, 2);
    }
  }
  [info.resource, info.name, info.subresource] = [parts[0] ?? '', parts[1] ?? '', parts[2] ?? ''];
  // The deprecated paths below /watch/ have no part in authorization by selectors.
  if (info.name === '' && !watched) completeCollection(info, query);
  return info;
}

/** Verbs of a whole collection; a watch or list of a single name counts as one for that name. */
function completeCollection(info: RequestInfo, query: URLSearchParams): void {
  if (info.verb === 'delete') info.verb = 'deletecollection';
  else if (info.verb === 'get') info.verb = isWatch(query) ? 'watch' : 'list';
  else return;
  const fields = query.get('fieldSelector');
  if (fields) info.fieldSelector = fields;
  const labels = query.get('labelSelector');
  if (labels) info.labelSelector = labels;
  if (info.verb === 'deletecollection') return;
  const single = /(?:^|,)metadata\.name==?([^,]+)/.exec(fields ?? '');
  if (single) info.name = single[1]!;
}

const isWatch = (query: URLSearchParams): boolean =>
  !['false', '0', undefined].includes(query.get('watch')?.toLowerCase());
