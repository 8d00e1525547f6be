/** Discovery: which groups, versions and resources there are, unaggregated and aggregated (apidiscovery.k8s.io/v2). */
import { createHash } from 'node:crypto';
import type { Resource } from '../../api/resources/define.js';
import { resources as stored } from '../../api/resources/index.js';
import type { Call, Result } from '../context.js';
import { mediaRanges } from '../http/media-types.js';
import { reviews } from '../reviews/index.js';
import { virtualResources } from '../virtual/index.js';
import { negotiated } from './negotiated.js';

const resources: Resource[] = [...stored, ...reviews, ...virtualResources];

/** Undefined for paths that are not of discovery. */
export function discovery(path: string, call: Call): Result | undefined {
  const [, root, ...parts] = path.split('/');
  if (root === 'api') {
    if (parts.length === 0) return aggregated(call, root) ?? negotiated(call, coreVersions(call));
    return parts.length === 1 ? resourceList(call, '', parts[0]!) : undefined;
  }
  if (root !== 'apis' || parts.length > 2) return undefined;
  if (parts.length === 0) return aggregated(call, root) ?? negotiated(call, groupList());
  if (parts.length === 2) return resourceList(call, parts[0]!, parts[1]!);
  const group = groups().find((g) => g.name === parts[0]);
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

function groups() {
  const names = [...new Set(resources.filter((r) => r.group !== '').map((r) => r.group))];
  return names.map((name) => {
    const versions = versionsOf(name).map((version) => ({ groupVersion: `${name}/${version}`, version }));
    return { name, versions, preferredVersion: versions[0]! };
  });
}

const versionsOf = (group: string): string[] =>
  [...new Set(resources.filter((r) => r.group === group).map((r) => r.version))].sort(compareVersions);

const groupList = () => ({ kind: 'APIGroupList', apiVersion: 'v1', groups: groups() });

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
function aggregated(call: Call, root: 'api' | 'apis'): Result | undefined {
  const range = mediaRanges(call.header('accept') ?? '').find(
    ({ type }) => type === 'application/json' || type === '*/*' || type === 'application/*',
  );
  const { as, g, v } = range?.parameters ?? {};
  if (as !== AGGREGATED || g !== 'apidiscovery.k8s.io' || (v !== 'v2' && v !== 'v2beta1')) return undefined;
  const { body, etag } = aggregatedDocument(root, v);
  const headers = {
    'content-type': `application/json;g=apidiscovery.k8s.io;v=${v};as=${AGGREGATED}`,
    etag,
    vary: 'Accept',
  };
  if (call.header('if-none-match') === etag) return { type: 'raw', code: 304, headers, body: '' };
  return { type: 'raw', code: 200, headers, body };
}

const documents = new Map<string, { body: string; etag: string }>();

function aggregatedDocument(root: 'api' | 'apis', version: string) {
  const key = `${root} ${version}`;
  let document = documents.get(key);
  if (!document) {
    const names = root === 'api' ? [''] : groups().map((group) => group.name);
    const items = names.map((name) => ({
      metadata: { ...(name === '' ? {} : { name }), creationTimestamp: null },
      versions: versionsOf(name).map((v) => ({
        version: v,
        resources: resources.filter((r) => r.group === name && r.version === v).map(aggregatedResource),
        freshness: 'Current',
      })),
    }));
    const list = { kind: AGGREGATED, apiVersion: `apidiscovery.k8s.io/${version}`, metadata: {}, items };
    const body = `${JSON.stringify(list)}\n`;
    document = { body, etag: `"${createHash('sha512').update(body).digest('hex').toUpperCase()}"` };
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
