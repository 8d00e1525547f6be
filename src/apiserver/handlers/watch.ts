/** watch: the changes of a resource from a revision on, as batches of messages. */
import { parseFieldSelector } from '../../api/machinery/selectors.js';
import { badRequest, expired, StatusError } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import { RevisionError, type Stored, type StoreEvent, type Watcher } from '../../store/store.js';
import type { Context, Result, WatchMessage } from '../context.js';
import { prefixOf } from '../keys.js';
import { compileFilter, type Filter } from './filter.js';
import { type ListQuery, listQuery, readVersion, tooLargeResourceVersion } from './query.js';

const BOOKMARK_MS = 60_000;
/** The last bookmark comes so long before a watch's time is over, so that the next resumes close to it. */
const BEFORE_END_MS = 2_000;
/** Without `timeoutSeconds` a watch ends after 30 to 60 minutes, as upstream's does. */
const MIN_TIMEOUT_SECONDS = 1800;
const INITIAL_BATCH = 500;

export async function watchObjects(ctx: Context): Promise<Result> {
  const query = listQuery(ctx.call.query, true);
  const filter = compileFilter(ctx.resource, query.labelSelector, fieldsOf(ctx, query));
  const requested = readVersion(query.resourceVersion);
  try {
    const start = await openWatch(ctx, query, filter, requested);
    return { type: 'watch', batches: batches(ctx, query, filter, start) };
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    return { type: 'watch', batches: failed(error) };
  }
}

/** A version that can't be watched from is told in the stream, as all that ends a watch. */
async function* failed(error: StatusError): AsyncGenerator<WatchMessage[], void> {
  yield [{ type: 'ERROR', object: error.toStatus() as unknown as KubeObject }];
}

/** A watch of one name, as paths below /watch/ can ask for it, is one of all with that name. Throws 400. */
function fieldsOf({ attributes: { name } }: Context, { fieldSelector }: ListQuery): string {
  if (name === '') return fieldSelector;
  if (fieldSelector === '') return `metadata.name=${name}`;
  const selected = parseFieldSelector(fieldSelector).requirements.find((r) => r.field === 'metadata.name');
  if (selected?.operator === '!=' || selected?.value !== name)
    throw badRequest("fieldSelector metadata.name doesn't match requested name");
  return fieldSelector;
}

interface Start {
  watcher: Watcher;
  /** The state before the first event, where the client asked for it. */
  initial: Stored[] | undefined;
  /** Whether a bookmark tells that the initial state is complete. */
  markEnd: boolean;
  /** Events up to this revision are not for this client (it named a later one). */
  skip: number;
}

/** Throws 410 and 504 for a version that is too old, or too new to begin with its state. */
async function openWatch(
  ctx: Context,
  query: ListQuery,
  filter: Filter,
  requested: number | undefined,
): Promise<Start> {
  const prefix = prefixOf(ctx.resource, ctx.attributes.namespace);
  const fromNow = requested === undefined || requested === 0;
  if (query.sendInitialEvents ?? fromNow) {
    const listed = await ctx.store.list(prefix);
    if (!fromNow && requested > listed.revision) throw tooLargeResourceVersion(requested, listed.revision);
    const initial = listed.items.filter((stored) => filter.matches(stored.object));
    const watcher = ctx.store.watch(prefix, listed.revision);
    return { watcher, initial, markEnd: query.sendInitialEvents === true, skip: 0 };
  }
  const from = fromNow ? ctx.store.revision : requested;
  try {
    const watcher = ctx.store.watch(prefix, Math.min(from, ctx.store.revision));
    return { watcher, initial: undefined, markEnd: false, skip: from };
  } catch (error) {
    if (error instanceof RevisionError) throw tooOld(error);
    throw error;
  }
}

const tooOld = (error: RevisionError): StatusError =>
  expired(`too old resource version: ${error.requested} (${error.limit})`);

async function* batches(
  ctx: Context,
  query: ListQuery,
  filter: Filter,
  { watcher, initial, markEnd, skip }: Start,
): AsyncGenerator<WatchMessage[], void> {
  const ending = new AbortController();
  const end = () => ending.abort();
  const ms = (query.timeoutSeconds || MIN_TIMEOUT_SECONDS * (1 + Math.random())) * 1000;
  const cancelTimeout = ctx.clock.after(ms, end);
  const lastBookmark = query.allowWatchBookmarks ? ctx.clock.now() + ms - BEFORE_END_MS : 0;
  for (const signal of [ctx.call.signal, ctx.closing]) signal.addEventListener('abort', end, { once: true });
  if (ctx.call.signal.aborted || ctx.closing.aborted) end();
  try {
    if (initial) yield* initialBatches(initial);
    if (markEnd && query.allowWatchBookmarks)
      yield [bookmark(ctx, watcher.revision, { 'k8s.io/initial-events-end': 'true' })];
    yield* eventBatches(ctx, lastBookmark, filter, watcher, skip, ending.signal);
  } finally {
    cancelTimeout();
    for (const signal of [ctx.call.signal, ctx.closing]) signal.removeEventListener('abort', end);
    watcher.close();
  }
}

function* initialBatches(initial: Stored[]): Generator<WatchMessage[]> {
  for (let i = 0; i < initial.length; i += INITIAL_BATCH)
    yield initial.slice(i, i + INITIAL_BATCH).map((stored) => ({ type: 'ADDED', stored }));
}

/** A turn lasts from one bookmark to the next; `lastBookmark` is the time of the last, 0 for none. */
async function* eventBatches(
  ctx: Context,
  lastBookmark: number,
  filter: Filter,
  watcher: Watcher,
  skip: number,
  ending: AbortSignal,
): AsyncGenerator<WatchMessage[], void> {
  let turn = new AbortController();
  const endTurn = () => turn.abort();
  let cancelTurn = () => {};
  ending.addEventListener('abort', endTurn, { once: true });
  try {
    while (!ending.aborted) {
      turn = new AbortController();
      const left = lastBookmark - ctx.clock.now();
      cancelTurn = left > 0 ? ctx.clock.after(Math.min(BOOKMARK_MS, left), endTurn) : () => {};
      while (!turn.signal.aborted) {
        const messages = toMessages(await watcher.next(turn.signal), filter, skip);
        if (messages.length > 0) yield messages;
      }
      if (!ending.aborted && watcher.revision >= skip) yield [bookmark(ctx, watcher.revision)];
    }
  } catch (error) {
    if (!(error instanceof RevisionError)) throw error;
    yield* failed(tooOld(error));
  } finally {
    cancelTurn();
    ending.removeEventListener('abort', endTurn);
  }
}

function toMessages(events: readonly StoreEvent[], filter: Filter, skip: number): WatchMessage[] {
  const messages: WatchMessage[] = [];
  for (const event of events) {
    const message = event.revision > skip ? toMessage(event, filter) : undefined;
    if (message) messages.push(message);
  }
  return messages;
}

/** An object that comes into a filtered view is ADDED to it, one that leaves it is DELETED from it. */
export function toMessage(event: StoreEvent, filter: Filter): WatchMessage | undefined {
  if (filter.everything) return { type: event.type, stored: event.stored };
  const before = event.previous !== undefined && filter.matches(event.previous.object);
  if (event.type === 'DELETED') return before ? { type: 'DELETED', stored: event.stored } : undefined;
  const after = filter.matches(event.stored.object);
  if (after) return { type: before ? 'MODIFIED' : 'ADDED', stored: event.stored };
  return before ? { type: 'DELETED', object: lastSeen(event) } : undefined;
}

/** What the view showed last, at the revision of its leaving. */
function lastSeen({ previous, revision }: StoreEvent): KubeObject {
  const { object } = previous!;
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } };
}

function bookmark(ctx: Context, revision: number, annotations?: Record<string, string>): WatchMessage {
  const { apiVersion, kind } = ctx.resource;
  const metadata = {
    resourceVersion: String(revision),
    creationTimestamp: null,
    ...(annotations && { annotations }),
  };
  return { type: 'BOOKMARK', object: { apiVersion, kind, metadata } as unknown as KubeObject };
}
