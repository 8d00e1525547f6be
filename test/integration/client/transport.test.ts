/** The client over both ways to a real API server: within the process, and over TLS. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { configMaps } from '../../../src/api/resources/index.js';
import { ApiServer } from '../../../src/apiserver/server.js';
import { createAuthenticate } from '../../../src/auth/authenticate.js';
import { loadOrCreatePki, type Pki } from '../../../src/auth/pki.js';
import type { Attributes } from '../../../src/auth/user.js';
import { Client, httpsTransport, Informer, type Transport } from '../../../src/client/index.js';
import { openLevelStore } from '../../../src/store/leveldb/open.js';
import { transportSuite } from './transport-suite.js';

const newDir = () => mkdtempSync(join(tmpdir(), 'keelson-test-transport-'));

async function start(dir = newDir()) {
  const store = await openLevelStore(join(dir, 'db'));
  const server = new ApiServer({
    store,
    authenticate: createAuthenticate({}),
    authorizer: {
      authorize: ({ user }: Attributes) => ({
        decision: user.groups.includes('system:masters') ? 'allow' : 'no-opinion',
        reason: '',
      }),
    },
    serviceCidr: '10.96.0.0/16',
    clusterName: 'test',
    version: '0.0.0',
    logger: pino({ level: 'silent' }),
  });
  await server.bootstrap();
  const stop = async () => {
    await server.close();
    await store.close();
  };
  const close = async () => {
    await stop();
    rmSync(dir, { recursive: true });
  };
  return { dir, store, server, stop, close };
}

describe('client', function () {
  this.timeout(30_000);
  describe('within the process', () => {
    transportSuite(async () => {
      const { store, server, close } = await start();
      return {
        store,
        close,
        transport: server.transport({ name: 'admin', groups: ['system:masters'] }),
        powerless: server.transport({ name: 'nobody', groups: [] }),
      };
    });
  });

  describe('over TLS', () => {
    transportSuite(async () => {
      const { dir, store, server, close } = await start();
      const pki = await loadOrCreatePki(join(dir, 'pki'));
      const port = await listen(server, pki);
      const transport = await connect(pki, port, 'admin', ['system:masters']);
      const powerless = await connect(pki, port, 'nobody', []);
      return {
        store,
        transport,
        powerless,
        async close() {
          await transport.close();
          await powerless.close();
          await close();
        },
      };
    });

    it('an informer goes on where it was after the server has started again', async () => {
      let served = await start();
      const { dir } = served;
      const pki = await loadOrCreatePki(join(dir, 'pki'));
      const port = await listen(served.server, pki);
      const transport = await connect(pki, port, 'admin', ['system:masters']);
      const lists: string[] = [];
      const counting: Transport = {
        request: (request) => {
          lists.push(request.path);
          return transport.request(request);
        },
        watch: (request) => transport.watch(request),
        close: () => transport.close(),
      };
      const log: string[] = [];
      const informer = new Informer(new Client(counting).of(configMaps));
      informer.on({
        added: (object) => log.push(`added ${object.metadata.name}`),
        deleted: (object) => log.push(`deleted ${object.metadata.name}`),
      });
      informer.start();
      await informer.synced;
      const within = () =>
        new Client(served.server.transport({ name: 'admin', groups: ['system:masters'] })).of(configMaps);
      const create = (name: string) =>
        within().create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' } });
      const told = async (line: string) => {
        for (let i = 0; i < 500 && !log.includes(line); i++)
          await new Promise((resolve) => setTimeout(resolve, 10));
        assert.ok(log.includes(line), `${line} is not among ${log.join(', ')}`);
      };
      await create('before');
      await told('added before');
      log.length = 0;

      await served.stop();
      served = await start(dir);
      await create('between');
      await within().delete('default', 'before');
      await listen(served.server, pki, port);
      await create('after');
      await told('added after');
      assert.deepEqual(log, ['added between', 'deleted before', 'added after']);
      assert.equal(lists.length, 1, 'it has listed once');
      await informer.close();
      await transport.close();
      await served.close();
    });
  });
});

async function listen(server: ApiServer, pki: Pki, port = 0): Promise<number> {
  const serving = await pki.issue({ commonName: 'kube-apiserver', ips: ['127.0.0.1'], usage: 'server' });
  return (await server.listen({ host: '127.0.0.1', port, ...serving, clientCa: pki.caCert })).port;
}

async function connect(
  pki: Pki,
  port: number,
  commonName: string,
  organizations: string[],
): Promise<Transport> {
  const pair = await pki.issue({ commonName, organizations, usage: 'client' });
  return httpsTransport({ server: `https://127.0.0.1:${port}`, ca: pki.caCert, ...pair });
}
