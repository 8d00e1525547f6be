/** Collections that stay current: a list, then a watch from its revision; anew when the watch can't go on. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import { useStore } from '../lib/store.js';
import { ApiError, getJson, pieces, request } from './http.js';
import { token } from './session.js';

export interface Metadata {
  name: string;
  namespace?: string;
  uid: string;
  creationTimestamp?: string;
  resourceVersion?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: { apiVersion: string; kind: string; name: string }[];
}

export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata: Metadata;
  [field: string]: any;
}

export interface Column {
  name: string;
  type: string;
  priority: number;
  description?: string;
}

/** One object of a collection, with its cells where the server was asked for a table. */
export interface Item {
  object: KubeObject;
  cells: unknown[];
}

export interface Collection {
  columns: Column[];
  items: Item[];
  loaded: boolean;
  error: unknown;
}

type Form = 'table' | 'objects';

const ACCEPT: Record<Form, string> = {
  table: 'application/json;as=Table;v=v1;g=meta.k8s.io',
  objects: 'application/json',
};
const EMPTY: Collection = { columns: [], items: [], loaded: false, error: undefined };
/** Changes that come together are shown together (ms). */
const TOGETHER_MS = 60;
const RETRY_MS = [500, 1000, 2000, 5000, 10_000];

/** The API's own columns of a collection, as `kubectl get` shows them. An empty path follows nothing. */
export const useTable = (path: string, query: Record<string, string> = {}) =>
  useCollection('table', path, query);
/** Whole objects. */
export const useObjects = (path: string, query: Record<string, string> = {}) =>
  useCollection('objects', path, query);

function useCollection(form: Form, path: string, query: Record<string, string>): Collection {
  const [shown, show] = useState<{ of: string; collection: Collection }>({ of: '', collection: EMPTY });
  const user = useStore(token);
  const key = `${form} ${path}?${new URLSearchParams(query)} ${user}`;
  const asked = useMemo(() => query, [key]);
  useEffect(() => {
    if (path === '' || user === '') return;
    const stop = new AbortController();
    void follow(form, path, asked, stop.signal, (collection) => show({ of: key, collection }));
    return () => stop.abort();
  }, [form, path, key, asked, user]);
  return shown.of === key ? shown.collection : EMPTY;
}

async function follow(
  form: Form,
  path: string,
  query: Record<string, string>,
  signal: AbortSignal,
  show: (collection: Collection) => void,
): Promise<void> {
  const items = new Map<string, Item>();
  let columns: Column[] = [];
  let loaded = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tell = (error?: unknown) => {
    clearTimeout(timer);
    timer = undefined;
    if (!signal.aborted) show({ columns, items: [...items.values()], loaded, error });
  };
  const soon = () => {
    timer ??= setTimeout(() => tell(), TOGETHER_MS);
  };
  const take = (body: any): Item[] => {
    if (form === 'objects') return [{ object: body, cells: [] }];
    if (body.columnDefinitions?.length) columns = body.columnDefinitions;
    return body.rows ?? [];
  };
  for (let failures = 0; !signal.aborted; ) {
    try {
      const list = await getJson<any>(path, { query, accept: ACCEPT[form], signal });
      items.clear();
      const found: Item[] =
        form === 'table'
          ? take(list)
          : (list.items ?? []).map((object: KubeObject) => ({ object, cells: [] }));
      for (const item of found) items.set(keyOf(item), item);
      loaded = true;
      failures = 0;
      tell();
      let revision: string = list.metadata?.resourceVersion ?? '';
      for (;;) {
        const seen = await watchFrom(
          form,
          path,
          { ...query, resourceVersion: revision },
          signal,
          (type, body) => {
            for (const item of take(body)) {
              if (type === 'DELETED') items.delete(keyOf(item));
              else if (type !== 'BOOKMARK') items.set(keyOf(item), item);
            }
            if (type !== 'BOOKMARK') soon();
          },
        );
        if (signal.aborted) return;
        // One that ended at once without a word would be opened again and again.
        if (seen === undefined) await pause(1000, signal);
        revision = seen ?? revision;
      }
    } catch (error) {
      if (signal.aborted) return;
      const code = error instanceof ApiError ? error.code : 0;
      if (code === 401) return;
      if (code === 410) continue;
      tell(error);
      if (code === 404 && !loaded) return;
      await pause(RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]!, signal);
    }
  }
}

const keyOf = ({ object: { metadata } }: Item): string =>
  metadata.uid || `${metadata.namespace}/${metadata.name}`;

/** Resolves with the last revision when the server ends the watch; rejects with what ended it else. */
async function watchFrom(
  form: Form,
  path: string,
  query: Record<string, string>,
  signal: AbortSignal,
  event: (type: string, body: any) => void,
): Promise<string | undefined> {
  const response = await request(path, {
    query: { ...query, watch: 'true', allowWatchBookmarks: 'true' },
    accept: ACCEPT[form],
    signal,
  });
  let rest = '';
  let revision: string | undefined;
  for await (const piece of pieces(response)) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      if (line === '') continue;
      const { type, object } = JSON.parse(line);
      if (type === 'ERROR') throw new ApiError(object.code ?? 500, object);
      const row = form === 'table' ? object.rows?.[0]?.object : object;
      revision = row?.metadata?.resourceVersion ?? object.metadata?.resourceVersion ?? revision;
      event(type, object);
    }
  }
  return revision;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
