import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { request } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { gunzipSync } from 'node:zlib';
import { startServer, type TestServer } from './server.js';

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';
const JSON_BODY = { 'content-type': 'application/json' };

describe('apiserver over HTTPS', function () {
  this.timeout(30_000);
  let s: TestServer;
  before(async () => {
    s = await startServer();
    const body = JSON.stringify({ metadata: { name: 'one' }, data: { a: '1' } });
    assert.equal((await s.http('POST', CONFIG_MAPS, { headers: JSON_BODY, body })).code, 201);
  });
  after(() => s.close());

  const status = async (
    expected: number,
    reason: string | undefined,
    message: string | RegExp,
    ...args: Parameters<TestServer['http']>
  ) => {
    const { code, json, text } = await s.http(...args);
    assert.equal(code, expected, text);
    assert.equal(json.kind, 'Status');
    assert.equal(json.status, 'Failure');
    assert.equal(json.reason, reason);
    if (typeof message === 'string') assert.equal(json.message, message);
    else assert.match(json.message, message);
  };

  it('says what is wrong with a continue token or a resourceVersion', async () => {
    const token = (text: string) => Buffer.from(text).toString('base64url');
    const page = token('{"v":"meta.k8s.io/v1","rv":1,"start":"a"}');
    const cases: [string, string][] = [
      ['continue=a!', 'illegal base64 data at input byte 1'],
      [`continue=${token('x')}`, "invalid character 'x' looking for beginning of value"],
      [
        `continue=${token('{"v":"v2","rv":1,"start":"a"}')}`,
        'server does not recognize this encoded version v2',
      ],
      [
        `continue=${token('{"v":"meta.k8s.io/v1","start":"a"}')}`,
        'incorrect encoded start resourceVersion (version meta.k8s.io/v1)',
      ],
      [
        `continue=${token('{"v":"meta.k8s.io/v1","rv":1}')}`,
        'encoded start key empty (version meta.k8s.io/v1)',
      ],
      [`continue=${token('{"v":"meta.k8s.io/v1","rv":1,"start":"../a"}')}`, '../a'],
    ];
    const list = (query: string, message: string) =>
      status(400, 'BadRequest', message, 'GET', `${CONFIG_MAPS}?${query}`);
    for (const [query, why] of cases)
      await list(query, `invalid continue token: continue key is not valid: ${why}`);
    await list(
      `continue=${page}&resourceVersion=1`,
      'specifying resource version is not allowed when using continue',
    );
    await list(
      'resourceVersion=x',
      'invalid resource version: resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax',
    );
  });

  it('tells of resourceVersions of gets and watches that it cannot serve as upstream does', async () => {
    await s.http('POST', CONFIG_MAPS, { body: JSON.stringify({ metadata: { name: 'versions' } }) });
    const bad = 'resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax';
    const watch = (query: string) => s.http('GET', `${CONFIG_MAPS}?watch=1&${query}`);
    const refused = await watch('resourceVersion=x');
    assert.equal(refused.code, 500);
    assert.equal(JSON.parse(refused.text).message, bad);
    await status(500, undefined, bad, 'GET', `${CONFIG_MAPS}/versions?resourceVersion=x`);
    const tooLarge = await s.http('GET', `${CONFIG_MAPS}/versions?resourceVersion=999999`);
    assert.equal(tooLarge.code, 504);
    assert.match(tooLarge.json.message, /^Timeout: Too large resource version: 999999, current: \d+$/);
    const early = await watch(
      'resourceVersion=999999&sendInitialEvents=true&resourceVersionMatch=NotOlderThan',
    );
    const { object, type } = JSON.parse(early.text);
    assert.equal(`${type} ${object.code} ${object.details.retryAfterSeconds}`, 'ERROR 504 1');
    await s.http('DELETE', `${CONFIG_MAPS}/versions`);
  });

  it('tells what is twice or unknown in a patch, besides what it leads to', async () => {
    await s.http('POST', CONFIG_MAPS, { body: JSON.stringify({ metadata: { name: 'strict' } }) });
    const patch = (type: string, body: string, message: RegExp, code = 422) =>
      status(
        code,
        code === 422 ? 'Invalid' : 'BadRequest',
        message,
        'PATCH',
        `${CONFIG_MAPS}/strict?fieldValidation=Strict`,
        { body, headers: { 'content-type': `application/${type}+json` } },
      );
    const twice = '{"foo":1,"data":{"a":"1","a":"2"}}';
    const errors = 'strict decoding error: duplicate field "data.a", unknown field "foo"$';
    await patch('merge-patch', twice, new RegExp(`patch: Invalid value: "{.*}": ${errors}`));
    await patch('strategic-merge-patch', twice, new RegExp(`"map\\[data:map\\[a:2\\] foo:1\\]": ${errors}`));
    const operation = '{"op":"add","op":"add","path":"/data","value":{},"why":"x"}';
    await patch(
      'json-patch',
      `[${operation}]`,
      /error: json patch unknown field "\[0\].why", json patch duplicate field "\[0\].op"$/,
    );
    const merge = 'merge-patch';
    await patch(merge, '[', /^error decoding patch: unexpected end of JSON input$/, 400);
    await patch(merge, '[]', /: json: cannot unmarshal array into Go value of type map/, 400);
    await s.http('DELETE', `${CONFIG_MAPS}/strict`);
  });

  it('tells anonymous, unknown and forged users what upstream tells them', async () => {
    const anonymous = { anonymous: true };
    assert.equal((await s.http('GET', '/livez', anonymous)).text, 'ok');
    await status(
      403,
      'Forbidden',
      'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" at the cluster scope',
      'GET',
      '/api/v1/pods',
      anonymous,
    );
    await status(
      403,
      'Forbidden',
      'forbidden: User "system:anonymous" cannot get path "/api"',
      'GET',
      '/api',
      anonymous,
    );
    await status(401, 'Unauthorized', 'Unauthorized', 'GET', '/api', {
      ...anonymous,
      headers: { authorization: 'Bearer x' },
    });
    const { cert, key } = await (await import('../../../src/auth/certificates.js')).createCa(
      { commonName: 'admin', organizations: ['system:masters'] },
      1,
    );
    const code = await new Promise((resolve, reject) => {
      request({ host: '127.0.0.1', port: s.port, path: '/api', ca: s.pki.caCert, cert, key }, (r) => {
        r.resume();
        resolve(r.statusCode);
      })
        .on('error', reject)
        .end();
    });
    assert.equal(code, 401);
  });

  it('impersonates whom the administrator asks for', async () => {
    await status(403, 'Forbidden', /^configmaps is forbidden: User "jane" cannot list/, 'GET', CONFIG_MAPS, {
      headers: { 'impersonate-user': 'jane', 'impersonate-group': 'dev' },
    });
    assert.equal(
      (
        await s.http('GET', CONFIG_MAPS, {
          headers: { 'impersonate-user': 'jane', 'impersonate-group': 'system:masters' },
        })
      ).code,
      200,
    );
  });

  it('answers what is not there and what is not allowed', async () => {
    assert.deepEqual(
      [(await s.http('GET', '/nowhere')).code, (await s.http('GET', '/nowhere')).text],
      [404, '404 page not found\n'],
    );
    const unknown = await s.http('GET', '/apis/unknown.example.com/v1/namespaces/default/things');
    assert.deepEqual([unknown.code, unknown.text], [404, '404 page not found\n']);
    await status(
      404,
      'NotFound',
      'the server could not find the requested resource',
      'GET',
      '/api/v1/nothings',
    );
    await status(
      405,
      'MethodNotAllowed',
      'the server does not allow this method on the requested resource',
      'PUT',
      CONFIG_MAPS,
    );
    await status(404, 'NotFound', 'configmaps "x" not found', 'GET', `${CONFIG_MAPS}/x`);
  });

  it('refuses bad bodies', async () => {
    await status(
      400,
      'BadRequest',
      /^the object provided is unrecognized \(must be of type ConfigMap\)/,
      'POST',
      CONFIG_MAPS,
      { headers: JSON_BODY, body: '{' },
    );
    await status(400, 'BadRequest', /cannot be handled as a ConfigMap/, 'POST', CONFIG_MAPS, {
      headers: JSON_BODY,
      body: '{"kind":"Pod","apiVersion":"v1"}',
    });
    await status(400, 'BadRequest', /cannot unmarshal/, 'POST', CONFIG_MAPS, {
      headers: JSON_BODY,
      body: '{"metadata":{"name":"x"},"data":[1]}',
    });
    await status(
      415,
      'UnsupportedMediaType',
      /^the body of the request was in an unknown format/,
      'POST',
      CONFIG_MAPS,
      { headers: { 'content-type': 'text/x' }, body: 'x' },
    );
    await status(415, 'UnsupportedMediaType', /strategic-merge-patch/, 'PATCH', `${CONFIG_MAPS}/one`, {
      headers: JSON_BODY,
      body: '{}',
    });
    await status(406, 'NotAcceptable', /^only the following media types are accepted/, 'GET', CONFIG_MAPS, {
      headers: { accept: 'text/x' },
    });
    await status(
      406,
      'NotAcceptable',
      /^only the following media types are accepted/,
      'POST',
      '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
      {
        headers: { ...JSON_BODY, accept: 'application/json;as=Table;g=meta.k8s.io;v=v1' },
        body: '{"spec":{"nonResourceAttributes":{"verb":"get","path":"/"}}}',
      },
    );
    await status(
      400,
      'BadRequest',
      /^invalid timeout specified in the request URL - time: invalid duration "soon"$/,
      'GET',
      `${CONFIG_MAPS}?timeout=soon`,
    );
    assert.equal((await s.http('GET', `${CONFIG_MAPS}?timeout=1m1ms`)).code, 200);
    await status(413, 'RequestEntityTooLarge', /limit is 3145728/, 'POST', CONFIG_MAPS, {
      headers: JSON_BODY,
      body: Buffer.alloc(3145729, 32),
    });
    await status(
      400,
      'BadRequest',
      /strict decoding error: unknown field "dat"/,
      'POST',
      `${CONFIG_MAPS}?fieldValidation=Strict`,
      {
        headers: JSON_BODY,
        body: '{"metadata":{"name":"x"},"dat":{}}',
      },
    );
    assert.equal((await s.http('GET', CONFIG_MAPS)).json.items.length, 1);
  });

  it('takes a resourceVersion of a new object only where nothing is stored, and tells what is invalid first', async () => {
    const create = (query: string, data: object) => {
      const body = JSON.stringify({ metadata: { name: 'versioned', resourceVersion: '12' }, data });
      return ['POST', `${CONFIG_MAPS}${query}`, { headers: JSON_BODY, body }] as const;
    };
    await status(
      500,
      undefined,
      'resourceVersion should not be set on objects to be created',
      ...create('', { a: '1' }),
    );
    await status(422, 'Invalid', /a valid config key/, ...create('', { 'no key': '1' }));
    assert.equal((await s.http(...create('?dryRun=All', { a: '1' }))).code, 201);
    assert.equal((await s.http('GET', `${CONFIG_MAPS}/versioned`)).code, 404);
  });

  it('takes and gives YAML', async () => {
    const body = 'metadata: {name: yaml}\ndata: {a: "no", b: "2026-11-24T10:56:04Z"}\n';
    const made = await s.http('POST', CONFIG_MAPS, {
      headers: { 'content-type': 'application/yaml', accept: 'application/yaml' },
      body,
    });
    assert.equal(made.code, 201);
    assert.match(
      made.text,
      /^apiVersion: v1\ndata:\n {2}a: "no"\n {2}b: "2026-11-24T10:56:04Z"\nkind: ConfigMap\n/,
    );
    await s.http('DELETE', `${CONFIG_MAPS}/yaml`);
  });

  it('gives lists whose items leave out their type, tables, and metadata alone', async () => {
    const list = (await s.http('GET', CONFIG_MAPS)).json;
    assert.deepEqual(
      [list.kind, list.items[0].kind, list.items[0].metadata.name],
      ['ConfigMapList', undefined, 'one'],
    );
    const table = (
      await s.http('GET', `${CONFIG_MAPS}?includeObject=None`, {
        headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
      })
    ).json;
    assert.deepEqual(
      [table.kind, table.columnDefinitions[0].name, table.rows[0].cells[0], table.rows[0].object],
      ['Table', 'Name', 'one', undefined],
    );
    const partial = (
      await s.http('GET', `${CONFIG_MAPS}/one`, {
        headers: { accept: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io' },
      })
    ).json;
    assert.deepEqual(Object.keys(partial), ['kind', 'apiVersion', 'metadata']);
    assert.match((await s.http('GET', `${CONFIG_MAPS}/one?pretty=true`)).text, /^\{\n {2}"/);
  });

  it('streams watch events as lines', async () => {
    const { metadata } = (await s.http('GET', CONFIG_MAPS)).json;
    const watching = s.http(
      'GET',
      `${CONFIG_MAPS}?watch=true&resourceVersion=${metadata.resourceVersion}&timeoutSeconds=1`,
    );
    await s.http('POST', CONFIG_MAPS, { headers: JSON_BODY, body: '{"metadata":{"name":"w"}}' });
    await s.http('DELETE', `${CONFIG_MAPS}/w`);
    const events = (await watching).text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      events.map((e) => [e.type, e.object.kind, e.object.metadata.name]),
      [
        ['ADDED', 'ConfigMap', 'w'],
        ['DELETED', 'ConfigMap', 'w'],
      ],
    );
  });

  it('lets caches keep discovery and OpenAPI', async () => {
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';
    const all = await s.http('GET', '/apis', { headers: { accept } });
    assert.equal(all.json.kind, 'APIGroupDiscoveryList');
    assert.ok(all.json.items.some((g: any) => g.metadata.name === 'apps'));
    assert.equal(
      (await s.http('GET', '/apis', { headers: { accept, 'if-none-match': all.headers.etag } })).code,
      304,
    );
    assert.equal((await s.http('GET', '/apis')).json.kind, 'APIGroupList');
    const { paths } = (await s.http('GET', '/openapi/v3')).json;
    const url = paths['apis/apps/v1'].serverRelativeURL;
    const document = await s.http('GET', url);
    assert.match(document.headers['cache-control']!, /immutable/);
    assert.ok(document.json.paths['/apis/apps/v1/namespaces/{namespace}/deployments']);
    assert.equal(
      (await s.http('GET', url, { headers: { 'if-none-match': document.headers.etag } })).code,
      304,
    );
    assert.equal((await s.http('GET', url.replace(/hash=.*/, 'hash=old'))).code, 301);
    await status(406, 'NotAcceptable', /only the following/, 'GET', '/openapi/v2', {
      headers: { accept: 'text/x' },
    });
  });

  it('compresses large answers for those who ask', async () => {
    const body = JSON.stringify({ metadata: { name: 'large' }, data: { a: 'x'.repeat(200_000) } });
    await s.http('POST', CONFIG_MAPS, { headers: JSON_BODY, body });
    const raw = await new Promise<Buffer>((resolve, reject) => {
      const options = {
        host: '127.0.0.1',
        port: s.port,
        path: CONFIG_MAPS,
        ca: s.pki.caCert,
        ...s.admin,
        headers: { 'accept-encoding': 'gzip' },
      };
      request(options, async (response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of response) chunks.push(chunk);
        resolve(Buffer.concat(chunks));
      })
        .on('error', reject)
        .end();
    });
    assert.ok(raw.length < 10_000);
    assert.equal(JSON.parse(gunzipSync(raw).toString()).items.length, 2);
    await s.http('DELETE', `${CONFIG_MAPS}/large`);
  });

  it('speaks HTTP/2, many requests on one connection', async () => {
    const session = connectHttp2(`https://127.0.0.1:${s.port}`, { ca: s.pki.caCert, ...s.admin });
    try {
      const codes = await Promise.all(
        Array.from({ length: 50 }, async () => {
          const stream = session.request({ ':path': `${CONFIG_MAPS}/one` });
          stream.resume();
          const [headers] = (await once(stream, 'response')) as any;
          await once(stream, 'end');
          return headers[':status'];
        }),
      );
      assert.deepEqual(new Set(codes), new Set([200]));
    } finally {
      session.close();
    }
  });

  it('knows who it is on a resumed TLS session', async () => {
    const session = await new Promise<Buffer>((resolve) => {
      const socket = connectTls({ host: '127.0.0.1', port: s.port, ca: s.pki.caCert, ...s.admin });
      socket.once('session', (ticket) => {
        socket.destroy();
        resolve(ticket);
      });
      socket.write('GET /livez HTTP/1.1\r\nhost: x\r\n\r\n');
    });
    const socket = connectTls({ host: '127.0.0.1', port: s.port, ca: s.pki.caCert, ...s.admin, session });
    socket.write(`GET ${CONFIG_MAPS}/one HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
    const [data] = await once(socket, 'data');
    assert.equal(socket.isSessionReused(), true);
    assert.match(String(data), /^HTTP\/1\.1 200 OK/);
    socket.destroy();
  });

  it('closes connections that send garbage, and lives on', async () => {
    const raw = connectTcp(s.port, '127.0.0.1');
    raw.write('this is not TLS at all\r\n\r\n');
    raw.resume();
    await once(raw, 'close');
    const tls = connectTls({ host: '127.0.0.1', port: s.port, ca: s.pki.caCert });
    tls.write('\x00\x01garbage\r\n\r\n');
    const [data] = await once(tls, 'data');
    assert.match(String(data), /^HTTP\/1\.1 400/);
    await once(tls, 'close');
    assert.equal((await s.http('GET', '/livez')).text, 'ok');
  });

  it('counts requests under the names of upstream', async () => {
    const { text } = await s.http('GET', '/metrics');
    assert.match(
      text,
      /^apiserver_request_total\{code="201",dry_run="",component="apiserver",group="",resource="configmaps",.*verb="POST",version="v1"\} \d+$/m,
    );
    assert.match(text, /^apiserver_request_duration_seconds_bucket\{.*le="\+Inf"\} \d+$/m);
    assert.match(text, /^process_resident_memory_bytes /m);
  });

  it('binds pods by the bindings of their namespace', async () => {
    const create = (path: string, body: object) =>
      s.http('POST', `/api/v1/namespaces/bound/${path}`, { headers: JSON_BODY, body: JSON.stringify(body) });
    const metadata = { name: 'bound' };
    await s.http('POST', '/api/v1/namespaces', { headers: JSON_BODY, body: JSON.stringify({ metadata }) });
    await create('serviceaccounts', { metadata: { name: 'default' } });
    await create('pods', { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'i' }] } });
    assert.equal((await create('bindings', { metadata: { name: 'p' }, target: { name: 'n' } })).code, 201);
    assert.equal((await s.http('GET', '/api/v1/namespaces/bound/pods/p')).json.spec.nodeName, 'n');
    assert.equal((await create('bindings', { metadata: { name: 'q' }, target: { name: 'n' } })).code, 404);
  });
});
