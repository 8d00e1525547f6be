/** CPU and memory in use (metrics.k8s.io), asked for while a page shows them: that API has no watch. */
import { useEffect, useState } from 'preact/hooks';
import { quantity } from '../lib/format.js';
import { ApiError, getJson } from './http.js';

/** Cores and bytes. */
export interface Sample {
  at: number;
  cpu: number;
  memory: number;
}

/** By `namespace/name`, or `/name`; the newest last. */
export type Usage = ReadonlyMap<string, readonly Sample[]>;

const EVERY_MS = 5000;
const KEPT = 60;
const history = new Map<string, Map<string, Sample[]>>();
const BASE = '/apis/metrics.k8s.io/v1beta1';

export const usagePath = (what: 'nodes' | 'pods', namespace = '', name = ''): string =>
  [
    BASE,
    ...(namespace === '' ? [] : ['namespaces', encodeURIComponent(namespace)]),
    what,
    ...(name === '' ? [] : [encodeURIComponent(name)]),
  ].join('/');

/** Of a collection or one object. Empty while there is none, and for who may not see it. */
export function useUsage(path: string): Usage {
  const [, render] = useState({});
  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    const ask = async () => {
      let again = true;
      try {
        if (document.visibilityState !== 'hidden')
          add(path, await getJson<any>(path, { signal: stop.signal }));
      } catch (error) {
        again = !(error instanceof ApiError) || error.code === 404 || error.code >= 429;
      }
      if (stop.signal.aborted) return;
      render({});
      if (again) timer = setTimeout(ask, EVERY_MS);
    };
    void ask();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [path]);
  return history.get(path) ?? new Map();
}

function add(path: string, answer: any): void {
  const before = history.get(path);
  const now = new Map<string, Sample[]>();
  for (const item of answer.items ?? [answer]) {
    const parts = item.containers ?? [item];
    const sum = (what: string) =>
      parts.reduce((total: number, part: any) => total + quantity(part.usage?.[what] ?? '0'), 0);
    const sample = { at: Date.parse(item.timestamp), cpu: sum('cpu'), memory: sum('memory') };
    const key = `${item.metadata.namespace ?? ''}/${item.metadata.name}`;
    const samples = before?.get(key) ?? [];
    now.set(key, samples.at(-1)?.at === sample.at ? samples : [...samples, sample].slice(-KEPT));
  }
  history.set(path, now);
}
