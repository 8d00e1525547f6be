/** list: a page of objects that one revision shows, filtered by selectors. */
import { posix } from 'node:path';
import { badRequest, expired, StatusError } from '../../api/machinery/status.js';
import { parseJsonStrict } from '../../api/schema/json.js';
import { type ListOptions, RevisionError, type Stored } from '../../store/store.js';
import type { Context, ListPage, Result } from '../context.js';
import { keyOf, prefixOf } from '../keys.js';
import { compileFilter, type Filter } from './filter.js';
import { type ListQuery, listQuery, listVersion, tooLargeResourceVersion } from './query.js';

/** Objects looked at between two turns of the event loop. */
const CHUNK = 500;

const CONTINUE_EXPIRED =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.';
const LIST_EXPIRED = 'The resourceVersion for the provided list is too old.';

export async function listObjects(ctx: Context): Promise<Result> {
  const query = listQuery(ctx.call.query, false);
  const filter = compileFilter(ctx.resource, query.labelSelector, query.fieldSelector);
  return { type: 'list', page: await readPage(ctx, query, filter) };
}

interface Position {
  revision: number | undefined;
  after: string | undefined;
}

async function readPage(ctx: Context, query: ListQuery, filter: Filter): Promise<ListPage> {
  const { namespace } = ctx.attributes;
  const prefix = prefixOf(ctx.resource, namespace);
  const position = startOf(ctx, query, prefix);
  if (filter.name !== undefined && position.revision === undefined && query.continue === '')
    if (namespace !== '' || !ctx.resource.namespaced) return single(ctx, namespace, filter);
  try {
    return await collect(ctx, prefix, position, query.limit, filter);
  } catch (error) {
    if (!(error instanceof RevisionError)) throw error;
    if (error.kind === 'future') throw tooLargeResourceVersion(error.requested, error.limit);
    if (query.continue === '') throw expired(LIST_EXPIRED);
    throw continueExpired(encodeContinue(-1, position.after!.slice(prefix.length)));
  }
}

/** A selector that fixes the name is a read of one key. */
function single(ctx: Context, namespace: string, filter: Filter): ListPage {
  const { revision } = ctx.store;
  const stored = ctx.store.get(keyOf(ctx.resource, namespace, filter.name!));
  return { items: stored && filter.matches(stored.object) ? [stored] : [], revision };
}

function startOf(ctx: Context, query: ListQuery, prefix: string): Position {
  if (query.continue !== '') {
    const { revision, start } = decodeContinue(query.continue);
    if (query.resourceVersion !== '' && query.resourceVersion !== '0')
      throw badRequest('specifying resource version is not allowed when using continue');
    return { revision: revision < 0 ? undefined : revision, after: prefix + start };
  }
  const requested = listVersion(query.resourceVersion);
  if (requested === undefined || requested === 0) return { revision: undefined, after: undefined };
  const exact =
    query.resourceVersionMatch === 'Exact' || (query.resourceVersionMatch === '' && query.limit > 0);
  if (requested > ctx.store.revision) throw tooLargeResourceVersion(requested, ctx.store.revision);
  return { revision: exact ? requested : undefined, after: undefined };
}

async function collect(
  ctx: Context,
  prefix: string,
  { revision, after }: Position,
  limit: number,
  filter: Filter,
): Promise<ListPage> {
  if (filter.everything) {
    const options: ListOptions = { revision, after, ...(limit > 0 ? { limit } : {}) };
    const listed = await ctx.store.list(prefix, options);
    return page(prefix, listed.items, listed.revision, listed.remaining, true);
  }
  const listed = await ctx.store.list(prefix, { revision, after });
  const items: Stored[] = [];
  for (let i = 0; i < listed.items.length; i++) {
    if (i % CHUNK === CHUNK - 1) await new Promise(setImmediate);
    const stored = listed.items[i]!;
    if (!filter.matches(stored.object)) continue;
    if (limit > 0 && items.length === limit) return page(prefix, items, listed.revision, 1, false);
    items.push(stored);
  }
  return page(prefix, items, listed.revision, 0, false);
}

/** `remaining` is told to the client only where no selector makes it a guess. */
function page(
  prefix: string,
  items: Stored[],
  revision: number,
  remaining: number,
  exact: boolean,
): ListPage {
  const last = items.at(-1);
  if (remaining === 0 || last === undefined) return { items, revision };
  const token = encodeContinue(revision, last.key.slice(prefix.length));
  return { items, revision, continue: token, ...(exact ? { remaining } : {}) };
}

/** A page's end as an opaque token: the list's revision (-1: the newest) and the last key below the prefix. */
function encodeContinue(revision: number, start: string): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: revision, start })).toString('base64url');
}

/** Throws 400. */
function decodeContinue(token: string): { revision: number; start: string } {
  const refuse = (why: string) => badRequest(`invalid continue token: continue key is not valid${why}`);
  const { v, rv, start } = parseToken(token, refuse);
  if (v !== 'meta.k8s.io/v1')
    throw refuse(`: server does not recognize this encoded version ${typeof v === 'string' ? v : ''}`);
  if (!rv) throw refuse(': incorrect encoded start resourceVersion (version meta.k8s.io/v1)');
  if (!start) throw refuse(': encoded start key empty (version meta.k8s.io/v1)');
  if (!Number.isSafeInteger(rv) || typeof start !== 'string' || !isCleanPath(start))
    throw refuse(`: ${start}`);
  return { revision: rv, start };
}

/** Whether it stays below the prefix that it is appended to. */
const isCleanPath = (start: string) => posix.normalize(`/${start}`) === `/${start}`;

function parseToken(token: string, refuse: (why: string) => StatusError): Record<string, any> {
  const foreign = /[^\w-]/.exec(token);
  if (foreign)
    throw refuse(`: illegal base64 data at input byte ${Buffer.byteLength(token.slice(0, foreign.index))}`);
  try {
    const { value } = parseJsonStrict(Buffer.from(token, 'base64url').toString());
    if (typeof value === 'object') return value ?? {};
  } catch (error) {
    throw refuse(`: ${(error as Error).message}`);
  }
  throw refuse(': not a token of this server');
}

function continueExpired(token: string): StatusError {
  const error = expired(CONTINUE_EXPIRED);
  return new ExpiredContinue(error, token);
}

/** 410 whose metadata holds a token to go on with, without a consistent snapshot. */
class ExpiredContinue extends StatusError {
  constructor(
    error: StatusError,
    private readonly token: string,
  ) {
    super(error.code, error.reason, error.message);
  }

  override toStatus() {
    return { ...super.toStatus(), metadata: { continue: this.token } };
  }
}
