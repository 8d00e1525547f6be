/** One operation of the API, in a form that both versions of OpenAPI are made from. */
import type { Resource } from '../../resources/define.js';
import { typeNameOf } from '../groups.js';
import type { GroupVersionKindJson } from './definitions.js';
import { groupVersionPath, groupVersionWords, tagOf } from './names.js';

export type Method = 'get' | 'put' | 'post' | 'delete' | 'patch' | 'head' | 'options';

export interface Operation {
  path: string;
  method: Method;
  /** The value of `x-kubernetes-action`. */
  action: string;
  id: string;
  description: string;
  tag: string;
  kind: GroupVersionKindJson;
  /** Names of query parameters besides `pretty`. */
  query: string[];
  /** The type of the body, such as `apps/v1.Deployment` or `meta/v1.Patch`. */
  body?: string;
  /** The type of the response; undefined for text. */
  response?: string;
  /** Success codes besides 200. */
  codes: number[];
  /** Whether the response can be a stream of watch events. */
  stream: boolean;
  deprecated?: boolean;
  /** Whether it is on a custom resource. */
  custom?: boolean;
}

/** The query parameters of create and update. */
export const WRITE = ['dryRun', 'fieldManager', 'fieldValidation'];
export const PATCH = [...WRITE, 'force'];

/** Where a resource's paths start, and the words of its operation ids. */
export interface Place {
  resource: Resource;
  /** `/apis/apps/v1`. */
  root: string;
  /** `AppsV1`. */
  words: string;
  /** `Namespaced` or nothing. */
  scope: string;
  /** The collection's path. */
  collection: string;
  type: string;
  kind: GroupVersionKindJson;
}

export function placeOf(resource: Resource): Place {
  const { apiVersion, group, version, kind, plural, namespaced } = resource;
  const root = `/${groupVersionPath(apiVersion)}`;
  return {
    resource,
    root,
    words: groupVersionWords(apiVersion),
    scope: namespaced ? 'Namespaced' : '',
    collection: `${root}${namespaced ? '/namespaces/{namespace}' : ''}/${plural}`,
    type: typeNameOf(apiVersion, kind),
    kind: { group, kind, version },
  };
}

type Rest = Pick<Operation, 'path' | 'method' | 'action' | 'id' | 'description'> & Partial<Operation>;

/** An operation on a resource: what `rest` does not say is as for a plain read. */
export const operation = ({ resource, kind }: Place, rest: Rest): Operation => ({
  tag: tagOf(resource.apiVersion),
  kind,
  query: [],
  codes: [],
  stream: false,
  ...(resource.custom ? { custom: true } : {}),
  ...rest,
});
