/** An API server on a store of its own, with clients that act as any user. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { pino } from 'pino';
import { systemClock } from '../../../src/api/machinery/clock.js';
import type { KubeObject, WatchEvent } from '../../../src/api/machinery/types.js';
import type { Resource } from '../../../src/api/resources/define.js';
import { resources } from '../../../src/api/resources/index.js';
import { ApiServer, type ApiServerOptions } from '../../../src/apiserver/server.js';
import { type Auth, createAuth } from '../../../src/auth/index.js';
import { loadOrCreatePki } from '../../../src/auth/pki.js';
import type { User } from '../../../src/auth/user.js';
import { Client, type ResourceClient } from '../../../src/client/client.js';
import { openLevelStore, type Store } from '../../../src/store/index.js';

export const ADMIN: User = { name: 'admin', groups: ['system:masters', 'system:authenticated'] };
export const quiet: Logger = pino({ level: 'silent' });

export interface Harness {
  server: ApiServer;
  store: Store;
  auth: Auth;
  client: Client;
  as(user: User): Client;
  /** The administrator's client of a resource, by its plural. */
  of(plural: string): ResourceClient<any>;
  resource(plural: string): Resource<any>;
  close(): Promise<void>;
}

export async function startHarness(options: Partial<ApiServerOptions> = {}): Promise<Harness> {
  const dir = mkdtempSync(join(tmpdir(), 'keelson-test-apiserver-'));
  const store = await openLevelStore(join(dir, 'db'));
  const pki = await loadOrCreatePki(join(dir, 'pki'));
  const auth = createAuth({ store, pki, clock: systemClock });
  const server = new ApiServer({
    store,
    ...auth,
    serviceCidr: '10.96.0.0/24',
    nodePorts: { from: 30000, to: 30003 },
    clusterName: 'test',
    version: '0.0.0',
    logger: quiet,
    ...options,
  });
  await server.bootstrap();
  const client = new Client(server.transport(ADMIN));
  const resource = (plural: string): Resource<any> => resources.find((r) => r.plural === plural)!;
  const of = (plural: string) => client.of<any>(resource(plural));
  await of('serviceaccounts').create({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default', namespace: 'default' },
  });
  return {
    server,
    store,
    auth,
    client,
    of,
    resource,
    as: (user) => new Client(server.transport(user)),
    async close() {
      await server.close();
      auth.close();
      await store.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

export const configMap = (name: string, extra: Record<string, unknown> = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', ...(extra['metadata'] as object) },
  data: (extra['data'] as object) ?? { a: '1' },
});

export const pod = (name: string, spec: Record<string, unknown> = {}, metadata: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default', ...metadata },
  spec: { containers: [{ name: 'c', image: 'busybox' }], ...spec },
});

/** Collects `count` events of a watch. */
export async function take(
  events: AsyncIterable<WatchEvent<any>>,
  count: number,
): Promise<{ type: string; name: string; object: KubeObject }[]> {
  const taken: { type: string; name: string; object: KubeObject }[] = [];
  for await (const { type, object } of events) {
    taken.push({ type, name: object.metadata.name, object });
    if (taken.length === count) break;
  }
  return taken;
}
