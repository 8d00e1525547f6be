/** Discovery: which groups, versions and resources there are, unaggregated and aggregated (apidiscovery.k8s.io/v2). */
import { createHash } from 'node:crypto';
import type { Resource } from '../../api/resources/define.js';
import { resources as stored } from '../../api/resources/index.js';
import type { Store } from '../../store/store.js';
import type { Call, Result } from '../context.js';
import type { Aggregator } from '../extensions/aggregation/aggregator.js';
import type { GroupVersion } from '../extensions/aggregation/local.js';
import { priorityOf } from '../extensions/aggregation/priorities.js';
import { listCustomResources } from '../extensions/definitions.js';
import { mediaRanges } from '../http/media-types.js';
import { reviews } from '../reviews/index.js';
import { virtualResources } from '../virtual/index.js';
import { negotiated } from './negotiated.js';

const builtIn: Resource[] = [...stored, ...reviews, ...virtualResources];

/** What a request is shown: what is served here, custom kinds included, and what other servers serve. */
interface View {
  resources: Resource[];
  remote: Aggregator | undefined;
  /** Changes with what is in it. */
  id: string;
}

async function currentView(store: Store, remote: Aggregator | undefined): Promise<View> {
  const custom = await listCustomResources(store);
  const kinds = custom.map((r) => `${r.apiVersion}/${r.plural} ${r.custom!.definition.id}`).join();
  return { resources: [...builtIn, ...custom], remote, id: `${remote?.generation ?? 0} ${kinds}` };
}

/** Undefined for paths that are not of discovery. */
export async function discovery(
  path: string,
  call: Call,
  store: Store,
  remote?: Aggregator,
): Promise<Result | undefined> {
  const [, root, ...parts] = path.split('/');
  if ((root !== 'api' && root !== 'apis') || parts.length > (root === 'api' ? 1 : 2)) return undefined;
  const view = await currentView(store, remote);
  if (parts.length === 0)
    return (
      aggregated(call, root, view) ?? negotiated(call, root === 'api' ? coreVersions(call) : groupList(view))
    );
  if (root === 'api') return resourceList(call, '', parts[0]!, view);
  if (parts.length === 2) return resourceList(call, parts[0]!, parts[1]!, view);
  const group = groups(view).find((g) => g.name === parts[0]);
  return group && negotiated(call, { kind: 'APIGroup', apiVersion: 'v1', ...group });
}

function coreVersions(call: Call) {
  return {
    kind: 'APIVersions',
    versions: [...new Set(builtIn.filter((r) => r.group === '').map((r) => r.version))],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: call.header('host') ?? '' }],
  };
}

/** Versions by falling stability: v2, v1, v1beta1, v1alpha1. */
export function compareVersions(a: string, b: string): number {
  const rank = (version: string): number[] => {
    const [match, major = '0', stage, minor = '0'] = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version) ?? [];
    if (match === undefined) return [-1, 0, 0];
    return [stage === undefined ? 2 : stage === 'beta' ? 1 : 0, Number(major), Number(minor)];
  };
  const [x, y] = [rank(a), rank(b)];
  for (let i = 0; i < 3; i++) if (x[i] !== y[i]) return y[i]! - x[i]!;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A group version, whoever serves it. */
interface Served extends GroupVersion {
  groupPriority: number;
  versionPriority: number;
  resources(): object[];
  fresh: boolean;
}

/** Every group version that this server serves itself; without those of custom kinds unless they are given. */
export function servedHere(resources: Resource[] = builtIn): GroupVersion[] {
  const found = new Map(resources.map(({ group, version }) => [`${group}/${version}`, { group, version }]));
  return [...found.values()];
}

function served({ resources, remote }: View): Served[] {
  const all = new Map<string, Served>();
  for (const { group, version } of servedHere(resources)) {
    const priority = priorityOf(group, version);
    all.set(`${group}/${version}`, {
      group,
      version,
      groupPriority: priority.group,
      versionPriority: priority.version,
      resources: () =>
        resources.filter((r) => r.group === group && r.version === version).map(aggregatedResource),
      fresh: true,
    });
  }
  for (const other of remote?.versions ?? [])
    all.set(`${other.group}/${other.version}`, { ...other, resources: () => other.resources });
  return [...all.values()].sort(
    (a, b) => b.versionPriority - a.versionPriority || compareVersions(a.version, b.version),
  );
}

/** Group versions by group, the groups by falling priority. */
function byGroup(view: View): Map<string, Served[]> {
  const found = new Map<string, Served[]>();
  for (const one of served(view)) found.set(one.group, [...(found.get(one.group) ?? []), one]);
  const priority = (versions: Served[]) => Math.max(...versions.map((v) => v.groupPriority));
  return new Map([...found].sort(([a, x], [b, y]) => priority(y) - priority(x) || (a < b ? -1 : 1)));
}

function groups(view: View) {
  return [...byGroup(view)]
    .filter(([name]) => name !== '')
    .map(([name, found]) => {
      const versions = found.map(({ version }) => ({ groupVersion: `${name}/${version}`, version }));
      return { name, versions, preferredVersion: versions[0]! };
    });
}

const groupList = (view: View) => ({
  kind: 'APIGroupList',
  apiVersion: 'v1',
  groups: groups(view),
});

function resourceList(call: Call, group: string, version: string, { resources }: View): Result | undefined {
  const served = resources.filter((r) => r.group === group && r.version === version);
  if (served.length === 0) return undefined;
  return negotiated(call, {
    kind: 'APIResourceList',
    ...(group === '' ? {} : { apiVersion: 'v1' }),
    groupVersion: group === '' ? version : `${group}/${version}`,
    resources: served.flatMap(listed).sort((a, b) => (a.name < b.name ? -1 : 1)),
  });
}

/** Upstream tells a hash of the storage version, so that clients notice a change of it. */
const storageHash = (r: Resource) =>
  createHash('sha256').update(`${r.group}/${r.version}/${r.kind}`).digest().subarray(0, 8).toString('base64');

function listed(r: Resource) {
  const main = {
    name: r.plural,
    singularName: r.singular,
    namespaced: r.namespaced,
    kind: r.kind,
    verbs: [...r.verbs].sort(),
    ...(r.shortNames.length > 0 ? { shortNames: r.shortNames } : {}),
    ...(r.categories.length > 0 ? { categories: r.categories } : {}),
    ...(r.verbs.includes('get') ? { storageVersionHash: storageHash(r) } : {}),
  };
  const subs = r.subresources.map((s) => ({
    name: `${r.plural}/${s.name}`,
    singularName: '',
    namespaced: r.namespaced,
    ...(s.group === undefined ? {} : { group: s.group }),
    ...(s.version === undefined ? {} : { version: s.version }),
    kind: s.kind,
    verbs: [...s.verbs].sort(),
  }));
  return [main, ...subs];
}

const AGGREGATED = 'APIGroupDiscoveryList';

/** The aggregated form, if the client prefers it. */
function aggregated(call: Call, root: 'api' | 'apis', view: View): Result | undefined {
  const range = mediaRanges(call.header('accept') ?? '').find(
    ({ type }) => type === 'application/json' || type === '*/*' || type === 'application/*',
  );
  const { as, g, v } = range?.parameters ?? {};
  if (as !== AGGREGATED || g !== 'apidiscovery.k8s.io' || (v !== 'v2' && v !== 'v2beta1')) return undefined;
  const { body, etag } = aggregatedDocument(root, v, view);
  const headers = {
    'content-type': `application/json;g=apidiscovery.k8s.io;v=${v};as=${AGGREGATED}`,
    etag,
    vary: 'Accept',
  };
  if (call.header('if-none-match') === etag) return { type: 'raw', code: 304, headers, body: '' };
  return { type: 'raw', code: 200, headers, body };
}

const documents = new Map<string, { body: string; etag: string; id: string }>();

/** Made again when what is served has changed. */
function aggregatedDocument(root: 'api' | 'apis', version: string, view: View) {
  const key = `${root} ${version}`;
  const { id } = view;
  let document = documents.get(key);
  if (document?.id !== id) {
    const shown = [...byGroup(view)].filter(([name]) => (name === '') === (root === 'api'));
    const items = shown.map(([name, versions]) => ({
      metadata: { ...(name === '' ? {} : { name }), creationTimestamp: null },
      versions: versions.map((v) => ({
        version: v.version,
        resources: v.resources(),
        freshness: v.fresh ? 'Current' : 'Stale',
      })),
    }));
    const list = { kind: AGGREGATED, apiVersion: `apidiscovery.k8s.io/${version}`, metadata: {}, items };
    const body = `${JSON.stringify(list)}\n`;
    const etag = `"${createHash('sha512').update(body).digest('hex').toUpperCase()}"`;
    document = { body, etag, id };
    documents.set(key, document);
  }
  return document;
}

function aggregatedResource(r: Resource) {
  return {
    resource: r.plural,
    responseKind: { group: '', version: '', kind: r.kind },
    scope: r.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: r.singular,
    verbs: [...r.verbs].sort(),
    ...(r.shortNames.length > 0 ? { shortNames: r.shortNames } : {}),
    ...(r.categories.length > 0 ? { categories: r.categories } : {}),
    ...(r.subresources.length > 0
      ? {
          subresources: r.subresources.map((s) => ({
            subresource: s.name,
            responseKind: { group: s.group ?? '', version: s.version ?? '', kind: s.kind },
            verbs: [...s.verbs].sort(),
          })),
        }
      : {}),
  };
}
