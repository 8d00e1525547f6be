/** Every kind that the API serves, custom resources as well. */
import { useEffect, useState } from 'preact/hooks';
import { useTable } from '../api/follow.js';
import { getJson } from '../api/http.js';
import { collectionHref, type Kind, pathOf } from '../api/kinds.js';
import { namespace } from '../api/session.js';
import { filter } from '../lib/filter.js';
import { useStore } from '../lib/store.js';
import { Problem } from '../parts/basics.js';
import { Table } from '../parts/table.js';

const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/** The preferred version of each kind that can be listed. */
async function discover(signal: AbortSignal): Promise<Kind[]> {
  const found: Kind[] = [];
  for (const path of ['/api', '/apis']) {
    const list = await getJson<any>(path, { accept: AGGREGATED, signal });
    for (const { metadata = {}, versions = [] } of list.items ?? []) {
      const seen = new Set<string>();
      for (const { version, resources = [] } of versions)
        for (const { resource: plural, responseKind, scope, verbs = [] } of resources) {
          if (seen.has(plural) || !verbs.includes('list')) continue;
          seen.add(plural);
          found.push({
            group: metadata.name ?? '',
            version,
            plural,
            kind: responseKind?.kind ?? '',
            namespaced: scope === 'Namespaced',
          });
        }
    }
  }
  return found;
}

function useKinds(): { kinds: Kind[] | undefined; error: unknown } {
  const [state, set] = useState<{ kinds: Kind[] | undefined; error: unknown }>({
    kinds: undefined,
    error: undefined,
  });
  useEffect(() => {
    const stop = new AbortController();
    discover(stop.signal).then(
      (kinds) => set({ kinds, error: undefined }),
      (error) => stop.signal.aborted || set({ kinds: undefined, error }),
    );
    return () => stop.abort();
  }, []);
  return state;
}

export function AllKinds() {
  const { kinds, error } = useKinds();
  const wanted = useStore(filter).toLowerCase();
  const shown = (kinds ?? []).filter(({ group, kind }) => `${kind} ${group}`.toLowerCase().includes(wanted));
  const groups = [...new Set(shown.map(({ group }) => group))];
  return (
    <>
      <h1>All kinds</h1>
      <Problem error={error} />
      {!kinds && error === undefined && <p class="faint">Loading…</p>}
      <div class="kinds">
        {groups.map((group) => (
          <section key={group}>
            <h2>{group || 'core'}</h2>
            <ul>
              {shown
                .filter((kind) => kind.group === group)
                .map((kind) => (
                  <li key={kind.plural}>
                    <a class="row" href={collectionHref(kind)}>
                      {kind.kind}
                    </a>
                  </li>
                ))}
            </ul>
          </section>
        ))}
      </div>
    </>
  );
}

export function AnyCollection({
  group,
  version,
  plural,
}: {
  group: string;
  version: string;
  plural: string;
}) {
  const { kinds, error } = useKinds();
  const chosen = useStore(namespace);
  const kind = kinds?.find((one) => one.group === group && one.plural === plural);
  const collection = useTable(kind ? pathOf({ ...kind, version }, chosen) : '');
  return (
    <>
      <h1>{kind?.kind ?? plural}</h1>
      <Problem error={error} />
      {kinds && !kind && <p class="faint">The API serves no such kind.</p>}
      {kind && <Table kind={{ ...kind, version }} collection={collection} />}
    </>
  );
}
