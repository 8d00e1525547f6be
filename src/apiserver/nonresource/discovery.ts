/** Discovery: which groups, versions and resources there are, unaggregated and aggregated (apidiscovery.k8s.io/v2). */
import { createHash } from 'node:crypto';
import type { Resource } from '../../api/resources/define.js';
import { resources as stored } from '../../api/resources/index.js';
import type { Call, Result } from '../context.js';
import type { Aggregator } from '../extensions/aggregation/aggregator.js';
import type { GroupVersion } from '../extensions/aggregation/local.js';
import { priorityOf } from '../extensions/aggregation/priorities.js';
import { mediaRanges } from '../http/media-types.js';
import { reviews } from '../reviews/index.js';
import { virtualResources } from '../virtual/index.js';
import { negotiated } from './negotiated.js';

const resources: Resource[] = [...stored, ...reviews, ...virtualResources];

/** Undefined for paths that are not of discovery. */
export function discovery(path: string, call: Call, remote?: Aggregator): Result | undefined {
  const [, root, ...parts] = path.split('/');
  if (root === 'api') {
    if (parts.length === 0) return aggregated(call, root, remote) ?? negotiated(call, coreVersions(call));
    return parts.length === 1 ? resourceList(call, '', parts[0]!) : undefined;
  }
  if (root !== 'apis' || parts.length > 2) return undefined;
  if (parts.length === 0) return aggregated(call, root, remote) ?? negotiated(call, groupList(remote));
  if (parts.length === 2) return resourceList(call, parts[0]!, parts[1]!);
  const group = groups(remote).find((g) => g.name === parts[0]);
  return group && negotiated(call, { kind: 'APIGroup', apiVersion: 'v1', ...group });
}

function coreVersions(call: Call) {
  return {
    kind: 'APIVersions',
    versions: [...new Set(resources.filter((r) => r.group === '').map((r) => r.version))],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: call.header('host') ?? '' }],
  };
}

/** Versions by falling stability: v2, v1, v1beta1, v1alpha1. */
export function compareVersions(a: string, b: string): number {
  const rank = (version: string): number[] => {
    const [, major = '0', stage, minor = '0'] = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version) ?? [];
    return [stage === undefined ? 2 : stage === 'beta' ? 1 : 0, Number(major), Number(minor)];
  };
  const [x, y] = [rank(a), rank(b)];
  for (let i = 0; i < 3; i++) if (x[i] !== y[i]) return y[i]! - x[i]!;
  return 0;
}

/** A group version, whoever serves it. */
interface Served extends GroupVersion {
  groupPriority: number;
  versionPriority: number;
  resources(): object[];
  fresh: boolean;
}

/** Every group version that this server serves itself. */
export function servedHere(): GroupVersion[] {
  const found = new Map(resources.map(({ group, version }) => [`${group}/${version}`, { group, version }]));
  return [...found.values()];
}

function served(remote: Aggregator | undefined): Served[] {
  const all = new Map<string, Served>();
  for (const { group, version } of servedHere()) {
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
function byGroup(remote: Aggregator | undefined): Map<string, Served[]> {
  const found = new Map<string, Served[]>();
  for (const one of served(remote)) found.set(one.group, [...(found.get(one.group) ?? []), one]);
  const priority = (versions: Served[]) => Math.max(...versions.map((v) => v.groupPriority));
  return new Map([...found].sort(([a, x], [b, y]) => priority(y) - priority(x) || (a < b ? -1 : 1)));
}

function groups(remote: Aggregator | undefined) {
  return [...byGroup(remote)]
    .filter(([name]) => name !== '')
    .map(([name, found]) => {
      const versions = found.map(({ version }) => ({ groupVersion: `${name}/${version}`, version }));
      return { name, versions, preferredVersion: versions[0]! };
    });
}

const groupList = (remote: Aggregator | undefined) => ({
  kind: 'APIGroupList',
  apiVersion: 'v1',
  groups: groups(remote),
});

function resourceList(call: Call, group: string, version: string): Result | undefined {
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
function aggregated(call: Call, root: 'api' | 'apis', remote: Aggregator | undefined): Result | undefined {
  const range = mediaRanges(call.header('accept') ?? '').find(
    ({ type }) => type === 'application/json' || type === '*/*' || type === 'application/*',
  );
  const { as, g, v } = range?.parameters ?? {};
  if (as !== AGGREGATED || g !== 'apidiscovery.k8s.io' || (v !== 'v2' && v !== 'v2beta1')) return undefined;
  const { body, etag } = aggregatedDocument(root, v, remote);
  const headers = {
    'content-type': `application/json;g=apidiscovery.k8s.io;v=${v};as=${AGGREGATED}`,
    etag,
    vary: 'Accept',
  };
  if (call.header('if-none-match') === etag) return { type: 'raw', code: 304, headers, body: '' };
  return { type: 'raw', code: 200, headers, body };
}

const documents = new Map<string, { body: string; etag: string; generation: number }>();

/** Made again when what other servers serve has changed. */
function aggregatedDocument(root: 'api' | 'apis', version: string, remote: Aggregator | undefined) {
  const key = `${root} ${version}`;
  const generation = remote?.generation ?? 0;
  let document = documents.get(key);
  if (document?.generation !== generation) {
    const shown = [...byGroup(remote)].filter(([name]) => (name === '') === (root === 'api'));
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
    document = { body, etag, generation };
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
