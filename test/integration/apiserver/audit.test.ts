import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { systemClock } from '../../../src/api/machinery/clock.js';
import { LogFile } from '../../../src/apiserver/audit/log-file.js';
import { eventually } from '../../fixtures/cluster.js';
import { startServer, type TestServer } from './server.js';

const POLICY = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitManagedFields: true
rules:
  - level: None
    nonResourceURLs: ["/healthz*", "/version"]
  - level: None
    users: ["system:apiserver"]
  - level: Metadata
    resources: [{ group: "", resources: ["secrets"] }]
  - level: RequestResponse
    verbs: ["create"]
    resources: [{ group: "", resources: ["configmaps"] }]
    omitStages: ["RequestReceived"]
  - level: Request
    resources: [{ group: "", resources: ["configmaps", "pods/exec"] }]
  - level: Metadata
`;
const JSON_BODY = { 'content-type': 'application/json' };

describe('audit', function () {
  this.timeout(30_000);
  let api: TestServer;
  let dir: string;
  let hook: Server;
  const received: any[] = [];

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-test-audit-'));
    hook = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      received.push({ headers: request.headers, list: JSON.parse(Buffer.concat(chunks).toString()) });
      response.end('{}');
    });
    await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve));
    const server = `http://127.0.0.1:${(hook.address() as AddressInfo).port}/audit`;
    const config = {
      'current-context': 'c',
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
      clusters: [{ name: 'c', cluster: { server } }],
      users: [{ name: 'u', user: { token: 'secret' } }],
    };
    writeFileSync(join(dir, 'policy.yaml'), POLICY);
    writeFileSync(join(dir, 'hook.json'), JSON.stringify(config));
    api = await startServer(
      {},
      {
        audit: {
          auditPolicyFile: join(dir, 'policy.yaml'),
          auditLogPath: join(dir, 'logs', 'audit.log'),
          auditWebhookConfigFile: join(dir, 'hook.json'),
          auditWebhookBatchMaxWait: 0.2,
        },
      },
    );
  });
  after(async () => {
    await api?.close();
    hook?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const events = (): any[] =>
    readFileSync(join(dir, 'logs', 'audit.log'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  const of = (id: string, stage = 'ResponseComplete') =>
    eventually(`the event ${id}`, async () => events().find((e) => e.auditID === id && e.stage === stage));
  const post = (path: string, object: object, headers: object = {}) =>
    api.http('POST', path, { headers: { ...JSON_BODY, ...headers }, body: JSON.stringify(object) });

  it('records who did what and what came of it, as far as the policy asks', async () => {
    const { headers } = await post('/api/v1/namespaces/default/configmaps', {
      metadata: { name: 'one' },
      data: { a: '1' },
    });
    const event = await of(String(headers['audit-id']));
    assert.equal(event.kind, 'Event');
    assert.equal(event.apiVersion, 'audit.k8s.io/v1');
    assert.equal(event.level, 'RequestResponse');
    assert.equal(event.verb, 'create');
    assert.equal(event.user.username, 'admin');
    assert.deepEqual(event.user.groups, ['system:masters', 'system:authenticated']);
    assert.deepEqual(event.sourceIPs, ['127.0.0.1']);
    assert.deepEqual(event.objectRef, { resource: 'configmaps', namespace: 'default', apiVersion: 'v1' });
    assert.deepEqual(event.requestObject.data, { a: '1' });
    assert.ok(event.responseObject.metadata.uid);
    assert.equal(event.responseObject.metadata.managedFields, undefined);
    assert.equal(event.responseStatus.code, 201);
    assert.equal(event.annotations['authorization.k8s.io/decision'], 'allow');
    assert.match(event.stageTimestamp, /^\d{4}-.*\.\d{6}Z$/);
    assert.ok(!events().some((e) => e.auditID === event.auditID && e.stage === 'RequestReceived'));
  });

  it('keeps the secret of Secrets, and takes the id that the client gives', async () => {
    const secret = { metadata: { name: 's' }, stringData: { password: 'hunter2' } };
    const { headers } = await post('/api/v1/namespaces/default/secrets', secret, { 'audit-id': 'my-own-id' });
    assert.equal(headers['audit-id'], 'my-own-id');
    assert.equal((await of('my-own-id')).requestObject, undefined);
    await of('my-own-id', 'RequestReceived');
    assert.ok(!readFileSync(join(dir, 'logs', 'audit.log'), 'utf8').includes('hunter2'));
  });

  it('records refusals, impersonation and failures', async () => {
    const refused = await api.http('GET', '/api/v1/namespaces/default/configmaps/one', {
      headers: { 'impersonate-user': 'eve' },
    });
    const event = await of(String(refused.headers['audit-id']));
    assert.equal(event.impersonatedUser.username, 'eve');
    assert.equal(event.annotations['authorization.k8s.io/decision'], 'forbid');
    assert.equal(event.responseStatus.reason, 'Forbidden');
    const missing = await api.http('GET', '/api/v1/namespaces/default/configmaps/none');
    assert.equal((await of(String(missing.headers['audit-id']))).responseStatus.code, 404);
  });

  it('records long requests when they begin and when they end', async () => {
    const { headers } = await api.http(
      'GET',
      '/api/v1/namespaces/default/configmaps?watch=true&timeoutSeconds=1',
    );
    const id = String(headers['audit-id']);
    const [started, complete] = [await of(id, 'ResponseStarted'), await of(id)];
    assert.equal(started.verb, 'watch');
    assert.ok(Date.parse(complete.stageTimestamp) - Date.parse(started.stageTimestamp) > 500);
  });

  it('leaves out what the policy does not want', async () => {
    const { headers } = await api.http('GET', '/version');
    const { headers: later } = await api.http('GET', '/readyz');
    await of(String(later['audit-id']));
    assert.ok(!events().some((e) => e.auditID === headers['audit-id']));
    assert.ok(!events().some((e) => e.user.username === 'system:apiserver'));
  });

  it('sends the same to a webhook in batches', async () => {
    await eventually('the batches', async () =>
      received.flatMap(({ list }) => list.items).some((e: any) => e.auditID === 'my-own-id'),
    );
    const { headers, list } = received[0];
    assert.equal(headers.authorization, 'Bearer secret');
    assert.deepEqual([list.kind, list.apiVersion], ['EventList', 'audit.k8s.io/v1']);
    assert.match((await api.http('GET', '/metrics')).text, /^apiserver_audit_event_total [1-9]/m);
  });

  it('says what is wrong about a policy', async () => {
    writeFileSync(
      join(dir, 'bad.yaml'),
      'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{ level: Loud, nonResourceURLs: ["x"] }]',
    );
    await assert.rejects(
      startServer({}, { audit: { auditPolicyFile: join(dir, 'bad.yaml') } }),
      /bad\.yaml is invalid: rules\[0\]\.level: Unsupported value: "Loud".*must begin with a '\/' character/,
    );
  });

  it('begins new files, keeps as many as it may, and goes on when the disk takes nothing', async () => {
    const path = join(dir, 'rotated', 'audit.log');
    const options = {
      path,
      maxSize: 1,
      maxBackups: 2,
      clock: systemClock,
      logger: pino({ level: 'silent' }),
    };
    const log = await LogFile.open(options);
    const line = JSON.stringify({ text: 'x'.repeat(300_000) });
    for (let i = 0; i < 20; i++) {
      log.write({}, line);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await log.close();
    const files = readdirSync(join(dir, 'rotated')).sort();
    assert.equal(files.length, 3, files.join());
    assert.match(files[0]!, /^audit-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}\.log$/);
    const full = await LogFile.open({ ...options, path: '/dev/full' });
    full.write({}, line);
    full.write({}, line);
    await full.close();
    assert.equal(full.lost, 2);
  });
});
