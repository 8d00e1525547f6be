/** The built OpenAPI documents in front of the real kubectl: explain, and whether it finds field validation. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { groupVersionsOf, resourceList } from '../../fixtures/discovery.js';
import { run, tool } from '../../fixtures/tools.js';

const documents = new URL('../../../generated/openapi/', import.meta.url);
const read = (name: string): Buffer => readFileSync(new URL(name, documents));

describe('OpenAPI documents and kubectl', () => {
  let server: Server;
  let home: string;
  let asked: string[];
  /** Whether `/openapi/v3` is served: without it kubectl falls back to v2. */
  let v3: boolean;

  /** Answers as an API server that has the documents, and accepts whatever is created. */
  function answer(path: string): Buffer | string | undefined {
    if (path === '/api') return JSON.stringify({ kind: 'APIVersions', versions: ['v1'] });
    if (path === '/apis') return JSON.stringify(groupVersionsOf());
    if (path === '/openapi/v2') return read('v2.pb');
    if (path === '/openapi/v3' && v3) return index();
    if (path.startsWith('/openapi/v3/')) return read(`v3/${path.slice('/openapi/v3/'.length)}.json`);
    const list = resourceList(path.replace(/^\/apis?\//, ''));
    return list && JSON.stringify(list);
  }

  function index(): string {
    const { v3: hashes } = JSON.parse(read('index.json').toString()) as { v3: Record<string, string> };
    const paths = Object.entries(hashes).map(([name, hash]) => [
      name,
      { serverRelativeURL: `/openapi/v3/${name}?hash=${hash}` },
    ]);
    return JSON.stringify({ paths: Object.fromEntries(paths) });
  }

  before((done) => {
    home = mkdtempSync(join(tmpdir(), 'keelson-test-explain-'));
    server = createServer((request, response) => {
      const body: Buffer[] = [];
      request.on('data', (chunk) => body.push(chunk));
      request.on('end', () => {
        const url = new URL(request.url as string, 'http://server');
        asked.push(`${request.method} ${url.pathname}${url.search}`);
        const text = request.method === 'POST' ? Buffer.concat(body) : answer(url.pathname);
        response.writeHead(text === undefined ? 404 : 200, { 'content-type': 'application/json' });
        response.end(
          text ?? JSON.stringify({ kind: 'Status', apiVersion: 'v1', code: 404, reason: 'NotFound' }),
        );
      });
    }).listen(0, '127.0.0.1', done);
  });
  beforeEach(() => {
    asked = [];
    v3 = true;
    rmSync(join(home, '.kube'), { recursive: true, force: true });
  });
  after((done) => {
    rmSync(home, { recursive: true });
    server.close(done);
  });

  async function kubectl(argv: string[], stdin = ''): Promise<string> {
    const { port } = server.address() as AddressInfo;
    const { stdout, stderr, code } = await run(tool('kubectl'), ['-s', `http://127.0.0.1:${port}`, ...argv], {
      stdin,
      env: { HOME: home, KUBECONFIG: '' },
    });
    assert.equal(code, 0, stderr);
    return stdout;
  }

  it('explain a field from the v3 document', async () => {
    const text = await kubectl(['explain', 'deployment.spec.template.spec.containers.imagePullPolicy']);
    assert.match(text, /GROUP: +apps\nKIND: +Deployment\nVERSION: +v1/);
    assert.match(text, /FIELD: imagePullPolicy <string>\nENUM:\n +Always\n +IfNotPresent\n +Never/);
    assert.match(text, /Image pull policy/);
  });

  it('explain a field of another type by what it is for there, and then by the type', async () => {
    const text = await kubectl(['explain', 'deployment.spec.strategy']);
    assert.match(text, /The deployment strategy to use .*\n +DeploymentStrategy describes how /);
  });

  it('explain a field from the v2 document in protobuf', async () => {
    const text = await kubectl(['explain', 'pod.spec.containers', '--output=plaintext-openapiv2']);
    assert.match(text, /RESOURCE: containers <\[\]Object>/);
    assert.match(text, /name\t<string> -required-/);
  });

  for (const version of ['v3', 'v2'])
    it(`make kubectl leave field validation to the server (${version})`, async () => {
      v3 = version === 'v3';
      const manifest = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c', namespace: 'default' } };
      await kubectl(['create', '-f', '-'], JSON.stringify(manifest));
      assert.ok(
        asked.some((line) =>
          /^POST \/api\/v1\/namespaces\/default\/configmaps\?.*fieldValidation=Strict/.test(line),
        ),
        asked.join('\n'),
      );
    });
});
