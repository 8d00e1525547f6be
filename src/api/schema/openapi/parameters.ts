/** Query and path parameters of operations. */
import type { Descriptions, Json } from './definitions.js';
import type { Operation } from './operation.js';

export interface Parameter {
  name: string;
  in: 'path' | 'query';
  description: string;
  type: 'string' | 'integer' | 'boolean' | 'array';
}

const INTEGERS = new Set([
  'gracePeriodSeconds',
  'limit',
  'limitBytes',
  'ports',
  'sinceSeconds',
  'tailLines',
  'timeoutSeconds',
]);
const BOOLEANS = new Set([
  'allowWatchBookmarks',
  'follow',
  'force',
  'ignoreStoreReadErrorWithClusterBreakingPotential',
  'insecureSkipTLSVerifyBackend',
  'orphanDependents',
  'previous',
  'sendInitialEvents',
  'stderr',
  'stdin',
  'stdout',
  'timestamps',
  'tty',
  'watch',
]);

function typeOf(name: string): Parameter['type'] {
  return INTEGERS.has(name) ? 'integer' : BOOLEANS.has(name) ? 'boolean' : 'string';
}

/** The parameters of an operation's query, `pretty` aside. */
export function queryParameters(operation: Operation, docs: Descriptions): Parameter[] {
  return operation.query.map((name) => ({
    name,
    in: 'query',
    description: docs.parameters[name] ?? '',
    type: typeOf(name),
  }));
}

/** The parameters that all operations of a path share: what its braces name, and `pretty`. */
export function pathParameters(operation: Operation, docs: Descriptions): Parameter[] {
  const names = [...operation.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] as string);
  return [
    ...names.map(
      (name): Parameter => ({ name, in: 'path', description: pathDescription(name), type: 'string' }),
    ),
    ...(operation.action === 'connect'
      ? []
      : [
          {
            name: 'pretty',
            in: 'query' as const,
            description: docs.parameters['pretty'] ?? '',
            type: 'string' as const,
          },
        ]),
  ];

  function pathDescription(name: string): string {
    if (name === 'name') return `name of the ${operation.kind.kind}`;
    if (name === 'namespace') return docs.parameters['namespace'] ?? '';
    return 'path of the URL to proxy to';
  }
}

export function parameterV2({ name, in: place, description, type }: Parameter): Json {
  return {
    ...(description === '' ? {} : { description }),
    in: place,
    name,
    ...(place === 'path' ? { required: true } : {}),
    type,
    uniqueItems: true,
  };
}

export function parameterV3({ name, in: place, description, type }: Parameter): Json {
  return {
    ...(description === '' ? {} : { description }),
    in: place,
    name,
    ...(place === 'path' ? { required: true } : {}),
    schema: { type, uniqueItems: true },
  };
}
