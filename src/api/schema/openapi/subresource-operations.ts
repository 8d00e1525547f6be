/** The operations of subresources: `status`, `scale`, `log`, and those that connect, such as `exec`. */
import { apiVersionOf } from '../../machinery/types.js';
import type { Subresource } from '../../resources/define.js';
import { typeSchema } from '../build.js';
import { typeNameOf } from '../groups.js';
import { type Method, type Operation, operation, PATCH, type Place, WRITE } from './operation.js';

const METHODS: Record<string, { method: Method; word: string; does: string }> = {
  get: { method: 'get', word: 'read', does: 'read' },
  create: { method: 'post', word: 'create', does: 'create' },
  update: { method: 'put', word: 'replace', does: 'replace' },
  patch: { method: 'patch', word: 'patch', does: 'partially update' },
  delete: { method: 'delete', word: 'delete', does: 'delete' },
};

const capital = (word: string): string => word.slice(0, 1).toUpperCase() + word.slice(1);

/** The operations of one subresource. */
export function subresourceOperations(p: Place, sub: Subresource): Operation[] {
  if (/Options$/.test(sub.kind)) return connectOperations(p, sub);
  const apiVersion =
    sub.version === undefined ? p.resource.apiVersion : apiVersionOf(sub.group ?? '', sub.version);
  const type = sub.name === 'log' ? undefined : typeNameOf(apiVersion, sub.kind);
  const kind = {
    group: sub.group ?? p.resource.group,
    kind: sub.kind,
    version: sub.version ?? p.resource.version,
  };
  return sub.verbs.map((verb) => {
    const { method, word, does } = METHODS[verb] as (typeof METHODS)[string];
    const writes = method !== 'get';
    return operation(p, {
      path: `${p.collection}/{name}/${sub.name}`,
      method,
      action: method,
      id: `${word}${p.words}${p.scope}${p.resource.kind}${capital(sub.name)}`,
      description: `${does} ${sub.name} of the specified ${p.resource.kind}`,
      kind,
      query: queryOf(sub, method),
      ...(writes ? { body: method === 'patch' ? 'meta/v1.Patch' : (type as string) } : {}),
      ...(type === undefined ? {} : { response: type }),
      codes: method === 'post' ? [201, 202] : writes ? [201] : [],
    });
  });
}

function queryOf(sub: Subresource, method: Method): string[] {
  if (sub.name === 'log') return optionNames('core/v1.PodLogOptions');
  if (method === 'patch') return PATCH;
  return method === 'get' ? [] : WRITE;
}

/** The query parameters that a type such as `core/v1.PodExecOptions` is sent as. */
function optionNames(full: string): string[] {
  const names = [...(typeSchema(full)?.fields.keys() ?? [])];
  return names.filter((name) => name !== 'apiVersion' && name !== 'kind').sort();
}

function connectOperations(p: Place, sub: Subresource): Operation[] {
  const options = optionNames(typeNameOf('v1', sub.kind));
  const proxy = sub.name === 'proxy';
  const methods: Method[] = proxy
    ? ['delete', 'get', 'head', 'options', 'patch', 'post', 'put']
    : sub.verbs.map((verb) => (METHODS[verb] as (typeof METHODS)[string]).method);
  const path = `${p.collection}/{name}/${sub.name}`;
  const at = (where: string, suffix: string) =>
    methods.map((method) =>
      operation(p, {
        path: where,
        method,
        action: 'connect',
        id: `connect${p.words}${capital(method)}${p.scope}${p.resource.kind}${capital(sub.name)}${suffix}`,
        description: `connect ${method.toUpperCase()} requests to ${sub.name} of ${p.resource.kind}`,
        kind: { group: '', kind: sub.kind, version: 'v1' },
        query: options,
      }),
    );
  return proxy ? [...at(path, ''), ...at(`${path}/{path}`, 'WithPath')] : at(path, '');
}
