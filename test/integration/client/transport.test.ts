/** The client over both ways to a real API server: within the process, and over TLS. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { ApiServer } from '../../../src/apiserver/server.js';
import { createAuthenticate } from '../../../src/auth/authenticate.js';
import { loadOrCreatePki } from '../../../src/auth/pki.js';
import type { Attributes } from '../../../src/auth/user.js';
import { httpsTransport } from '../../../src/client/https.js';
import { openLevelStore } from '../../../src/store/leveldb/open.js';
import { transportSuite } from './transport-suite.js';

async function start() {
  const dir = mkdtempSync(join(tmpdir(), 'keelson-test-transport-'));
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
  const close = async () => {
    await server.close();
    await store.close();
    rmSync(dir, { recursive: true });
  };
  return { dir, store, server, close };
}

describe('client', () => {
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
      const serving = await pki.issue({ commonName: 'kube-apiserver', ips: ['127.0.0.1'], usage: 'server' });
      const { port } = await server.listen({ host: '127.0.0.1', port: 0, ...serving, clientCa: pki.caCert });
      const connect = async (commonName: string, organizations: string[]) => {
        const pair = await pki.issue({ commonName, organizations, usage: 'client' });
        return httpsTransport({ server: `https://127.0.0.1:${port}`, ca: pki.caCert, ...pair });
      };
      const transport = await connect('admin', ['system:masters']);
      const powerless = await connect('nobody', []);
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
  });
});
