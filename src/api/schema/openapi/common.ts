/** What the documents of both versions of OpenAPI have in common. */
import { parseApiVersion } from '../../machinery/types.js';
import type { Resource } from '../../resources/define.js';
import { typeNameParts } from '../groups.js';
import type { Method, Operation } from './operation.js';

export const TITLE = 'Kubernetes';

const MEDIA = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];
const STREAMS = ['application/json;stream=watch', 'application/vnd.kubernetes.protobuf;stream=watch'];

/** What a patch may be sent as. */
const PATCH_MEDIA = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
];

/** Of a custom resource: strategic merge needs the types of Go. */
const CUSTOM_PATCH_MEDIA = PATCH_MEDIA.filter((type) => !type.includes('strategic'));

/** What the patch of an operation may be sent as. */
export const patchMediaOf = ({ custom }: Operation): string[] => (custom ? CUSTOM_PATCH_MEDIA : PATCH_MEDIA);

/** What an operation answers with. */
export function producedBy(operation: Operation): string[] {
  if (operation.action === 'connect') return ['*/*'];
  if (operation.response === undefined) return ['text/plain', ...MEDIA];
  return operation.stream ? [...MEDIA, ...STREAMS] : MEDIA;
}

const REASONS: Record<number, string> = { 200: 'OK', 201: 'Created', 202: 'Accepted' };

/** The responses of an operation by status code. */
export function responsesOf<T>(
  operation: Operation,
  content: T,
): Record<string, { description: string } | T> {
  const responses: Record<string, { description: string } & Partial<T>> = {};
  for (const code of [200, ...operation.codes])
    responses[code] = { description: REASONS[code] as string, ...content };
  return { ...responses, 401: { description: 'Unauthorized' } } as Record<
    string,
    { description: string } | T
  >;
}

/** The operations of a document by path, then by method. */
export function byPath(operations: Operation[]): Map<string, Map<Method, Operation>> {
  const paths = new Map<string, Map<Method, Operation>>();
  for (const operation of [...operations].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))) {
    const methods = paths.get(operation.path) ?? new Map<Method, Operation>();
    paths.set(operation.path, methods.set(operation.method, operation));
  }
  return paths;
}

/** The group versions of resources, the core group first, then by name. */
export function groupVersions(resources: readonly Resource[]): string[] {
  const found = new Set(resources.map((resource) => resource.apiVersion));
  return [...found].sort((a, b) => Number(a.includes('/')) - Number(b.includes('/')) || (a < b ? -1 : 1));
}

/** Whether a type such as `apps/v1.Deployment` belongs to a group version. */
export function belongsTo(full: string, apiVersion: string): boolean {
  const parts = typeNameParts(full);
  const { group, version } = parseApiVersion(apiVersion);
  return parts.family !== 'meta' && parts.group === group && parts.version === version;
}
