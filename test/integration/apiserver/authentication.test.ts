/** Ways to come in besides certificates of the cluster: issuers, token files, webhooks, front proxies, bootstrap tokens. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { stringify } from 'yaml';
import { systemClock } from '../../../src/api/machinery/clock.js';
import { loadAuthorization } from '../../../src/auth/configuration/authorization.js';
import { loadAuthentication } from '../../../src/auth/configuration/load.js';
import type { AuthSettings } from '../../../src/auth/configuration/settings.js';
import { loadOrCreatePki, type Pki } from '../../../src/auth/pki.js';
import { startServer, type TestServer } from './server.js';

type Answer = (path: string, body: any) => unknown;

/** An HTTPS service that answers JSON. */
class Service {
  readonly asked: { path: string; body: any }[] = [];
  answer: Answer = () => undefined;
  #server!: Server;
  url = '';

  async start(pki: Pki): Promise<this> {
    const pair = await pki.issue({ commonName: 'service', ips: ['127.0.0.1'], usage: 'server' });
    this.#server = createServer(pair, async (request, response) => {
      let text = '';
      for await (const chunk of request) text += chunk;
      const body = text === '' ? undefined : JSON.parse(text);
      this.asked.push({ path: request.url!, body });
      const answer = this.answer(request.url!, body);
      response.writeHead(answer === undefined ? 500 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(answer ?? {}));
    });
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.url = `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return this;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** An issuer of tokens, with discovery and keys that it can change. */
class Issuer extends Service {
  #key!: any;
  #jwks: object[] = [];
  #count = 0;
  override answer: Answer = (path) => {
    if (path === '/.well-known/openid-configuration')
      return { issuer: this.url, jwks_uri: `${this.url}/keys` };
    return path === '/keys' ? { keys: this.#jwks } : undefined;
  };

  async rotate(): Promise<void> {
    const { privateKey, publicKey } = await generateKeyPair('RS256');
    this.#key = privateKey;
    this.#jwks = [{ ...(await exportJWK(publicKey)), kid: `k${++this.#count}`, alg: 'RS256', use: 'sig' }];
  }

  token(claims: Record<string, unknown>, { audience = 'cluster', seconds = 60 } = {}): Promise<string> {
    return new SignJWT({ sub: 'id-1', ...claims })
      .setProtectedHeader({ alg: 'RS256', kid: `k${this.#count}` })
      .setIssuer(this.url)
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime(Math.floor(Date.now() / 1000) + seconds)
      .sign(this.#key);
  }
}

describe('authentication', function () {
  this.timeout(60_000);
  let dir: string;
  let pki: Pki;
  let server: TestServer | undefined;
  let issuer: Issuer;
  let webhook: Service;
  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-test-auth-'));
    pki = await loadOrCreatePki(join(dir, 'other-pki'));
    writeFileSync(join(dir, 'ca.crt'), pki.caCert);
    issuer = await new Issuer().start(pki);
    await issuer.rotate();
    webhook = await new Service().start(pki);
  });
  after(() => {
    issuer.close();
    webhook.close();
    rmSync(dir, { recursive: true });
  });
  afterEach(async () => {
    await server?.close();
    server = undefined;
    webhook.asked.length = 0;
  });

  const file = (name: string, content: unknown): string => {
    writeFileSync(join(dir, name), typeof content === 'string' ? content : stringify(content));
    return join(dir, name);
  };
  const kubeconfig = (): string =>
    file('webhook.kubeconfig', {
      'current-context': 'w',
      clusters: [
        { name: 'w', cluster: { server: `${webhook.url}/hook`, 'certificate-authority': 'ca.crt' } },
      ],
      contexts: [{ name: 'w', context: { cluster: 'w' } }],
    });
  const start = async (settings: AuthSettings) => {
    server = await startServer(settings);
  };
  /** Who the API takes somebody for; the code where it is no 201. */
  const whoami = async (headers: object, agent?: Agent): Promise<any> => {
    const body = JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' });
    const { code, json } = await server!.http('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
      headers: { 'content-type': 'application/json', ...headers },
      body,
      ...(agent ? { agent } : { anonymous: true }),
    });
    return code === 201 ? json.status.userInfo : code;
  };
  const bearer = (token: string) => whoami({ authorization: `Bearer ${token}` });
  const oidc = (): AuthSettings => ({
    oidcIssuerUrl: issuer.url,
    oidcClientId: 'cluster',
    oidcCaFile: join(dir, 'ca.crt'),
  });

  it('takes tokens of an OpenID Connect issuer, by its options', async () => {
    await start({
      ...oidc(),
      oidcUsernameClaim: 'email',
      oidcGroupsClaim: 'groups',
      oidcGroupsPrefix: 'oidc:',
      oidcRequiredClaim: ['team=ops'],
    });
    const claims = { email: 'ann@example.com', groups: ['devs'], team: 'ops' };
    assert.deepEqual(await bearer(await issuer.token(claims)), {
      username: 'ann@example.com',
      groups: ['oidc:devs', 'system:authenticated'],
    });
    const refused: [what: string, token: string][] = [
      ['another audience', await issuer.token(claims, { audience: 'other' })],
      ['an old token', await issuer.token(claims, { seconds: -30 })],
      ['a claim that is not as required', await issuer.token({ ...claims, team: 'x' })],
      ['an address that is not verified', await issuer.token({ ...claims, email_verified: false })],
      ['no address', await issuer.token({ team: 'ops' })],
      ['a changed token', `${(await issuer.token(claims)).slice(0, -6)}AAAAAA`],
    ];
    for (const [what, token] of refused) assert.equal(await bearer(token), 401, what);
    const keys = () => issuer.asked.filter(({ path }) => path === '/keys').length;
    const before = keys();
    for (let i = 0; i < 20; i++) await bearer(await issuer.token(claims));
    assert.equal(keys(), before, 'keys are not read for each token');
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const old = await issuer.token(claims);
    await issuer.rotate();
    assert.equal((await bearer(await issuer.token(claims))).username, 'ann@example.com');
    assert.equal(await bearer(old), 401, 'a key that is no longer published');
    const { stdout, code } = await server!.kubectl(
      `auth whoami --token ${await issuer.token(claims)} --kubeconfig /dev/null --server https://127.0.0.1:${server!.port} --insecure-skip-tls-verify -o jsonpath={.status.userInfo.username}`,
    );
    assert.deepEqual([code, stdout], [0, 'ann@example.com']);
  });

  it('puts the issuer before names that are unique in it alone', async () => {
    await start(oidc());
    assert.equal((await bearer(await issuer.token({ sub: 'me' }))).username, `${issuer.url}#me`);
  });

  it('maps claims by CEL, as AuthenticationConfiguration says', async () => {
    const config = {
      apiVersion: 'apiserver.config.k8s.io/v1',
      kind: 'AuthenticationConfiguration',
      anonymous: { enabled: true, conditions: [{ path: '/livez' }] },
      jwt: [
        {
          issuer: {
            url: issuer.url,
            certificateAuthority: pki.caCert,
            audiences: ['cluster', 'spare'],
            audienceMatchPolicy: 'MatchAny',
          },
          claimValidationRules: [{ expression: 'claims.level >= 2', message: 'level too low' }],
          claimMappings: {
            username: { expression: "claims.name + ':ext'" },
            groups: { expression: "claims.roles.split(',')" },
            uid: { claim: 'sub' },
            extra: [{ key: 'example.com/tenant', valueExpression: 'claims.tenant' }],
          },
          userValidationRules: [{ expression: "!user.username.startsWith('system:')" }],
        },
      ],
    };
    await start({ authenticationConfig: file('authentication.yaml', config) });
    const claims = { name: 'bob', roles: 'a,b', level: 2, tenant: 't1' };
    assert.deepEqual(await bearer(await issuer.token(claims, { audience: 'spare' })), {
      username: 'bob:ext',
      uid: 'id-1',
      groups: ['a', 'b', 'system:authenticated'],
      extra: { 'example.com/tenant': ['t1'] },
    });
    assert.equal(await bearer(await issuer.token({ ...claims, level: 1 })), 401);
    assert.equal(await bearer(await issuer.token({ ...claims, name: 'system:x' })), 401);
    assert.equal((await server!.http('GET', '/livez', { anonymous: true })).code, 200);
    assert.equal((await server!.http('GET', '/readyz', { anonymous: true })).code, 401);
    const bad = structuredClone(config);
    bad.jwt[0]!.claimMappings.username.expression = 'claims.name +';
    await assert.rejects(
      loadAuthentication({ authenticationConfig: file('bad.yaml', bad) }, pki.caCert, systemClock),
      /bad\.yaml, can't be used: jwt\[0\]\.claimMappings\.username\.expression: compilation failed/,
    );
  });

  it('takes tokens of a file', async () => {
    await start({
      tokenAuthFile: file('tokens.csv', 'sesame,ali,u-40,"thieves, cooks"\nplain,cassim,u-1\n'),
    });
    assert.deepEqual(await bearer('sesame'), {
      username: 'ali',
      uid: 'u-40',
      groups: ['thieves', 'cooks', 'system:authenticated'],
    });
    assert.equal((await bearer('plain')).username, 'cassim');
    assert.equal(await bearer('barley'), 401);
    const body = JSON.stringify({
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token: 'sesame' },
    });
    const review = await server!.http('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
      headers: { 'content-type': 'application/json' },
      body,
    });
    assert.deepEqual([review.json.status.authenticated, review.json.status.user.username], [true, 'ali']);
    await assert.rejects(
      loadAuthentication({ tokenAuthFile: file('bad.csv', 'lonely\n') }, pki.caCert, systemClock),
      /bad\.csv, line 1: needs a token/,
    );
  });

  it('asks a webhook for tokens, and remembers what it said', async () => {
    webhook.answer = (_, { spec }) => ({
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      status:
        spec.token === 'good'
          ? { authenticated: true, user: { username: 'eve', groups: ['w'], extra: { k: ['v'] } } }
          : { authenticated: false },
    });
    await start({ authenticationTokenWebhookConfigFile: kubeconfig() });
    for (let i = 0; i < 3; i++)
      assert.deepEqual(await bearer('good'), {
        username: 'eve',
        groups: ['w', 'system:authenticated'],
        extra: { k: ['v'] },
      });
    assert.deepEqual(
      webhook.asked.map(({ path, body }) => [path, body.kind]),
      [['/hook', 'TokenReview']],
    );
    assert.equal(await bearer('bad'), 401);
    webhook.answer = () => undefined;
    assert.equal(await bearer('other'), 401);
  });

  it('asks a webhook for what RBAC does not allow', async () => {
    webhook.answer = (_, { spec }) => ({
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      status: { allowed: spec.resourceAttributes?.resource === 'configmaps', reason: 'says the hook' },
    });
    await start({
      authorizationWebhookConfigFile: kubeconfig(),
      tokenAuthFile: file('tokens.csv', 'sesame,ali,1'),
    });
    const get = (path: string) =>
      server!.http('GET', path, { anonymous: true, headers: { authorization: 'Bearer sesame' } });
    assert.equal((await get('/api/v1/namespaces/default/configmaps')).code, 200);
    const refused = await get('/api/v1/namespaces/default/secrets');
    assert.equal(refused.code, 403);
    assert.match(refused.json.message, /^secrets is forbidden: User "ali" cannot list .*: says the hook$/);
    assert.deepEqual(webhook.asked[0]?.body.spec, {
      resourceAttributes: { namespace: 'default', verb: 'list', version: 'v1', resource: 'configmaps' },
      user: 'ali',
      groups: ['system:authenticated'],
      uid: '1',
    });
    const selected = 'fieldSelector=metadata.name!=a&labelSelector=app%20in%20(x,y),!old';
    await get(`/api/v1/namespaces/default/configmaps?${selected}`);
    const { resourceAttributes } = webhook.asked.at(-1)!.body.spec;
    assert.deepEqual(resourceAttributes.fieldSelector, {
      requirements: [{ key: 'metadata.name', operator: 'NotIn', values: ['a'] }],
    });
    assert.deepEqual(resourceAttributes.labelSelector, {
      requirements: [
        { key: 'app', operator: 'In', values: ['x', 'y'] },
        { key: 'old', operator: 'DoesNotExist' },
      ],
    });
    const conditional = file('authorization.yaml', {
      apiVersion: 'apiserver.config.k8s.io/v1',
      kind: 'AuthorizationConfiguration',
      authorizers: [
        {
          type: 'Webhook',
          name: 'w',
          webhook: {
            failurePolicy: 'Deny',
            connectionInfo: { type: 'KubeConfigFile', kubeConfigFile: kubeconfig() },
            matchConditions: [{ expression: "request.resourceAttributes.namespace == 'hooked'" }],
          },
        },
        { type: 'RBAC', name: 'r' },
      ],
    });
    const [hook, rbac] = (await loadAuthorization({ authorizationConfig: conditional }, systemClock))({
      Node: { authorize: () => ({ decision: 'no-opinion', reason: 'node' }) },
      RBAC: { authorize: () => ({ decision: 'no-opinion', reason: 'rbac' }) },
    });
    const ask = (namespace: string) =>
      hook!.authorize({
        ...{ user: { name: 'a', groups: [] }, verb: 'get', isResource: true, group: '', version: 'v1' },
        ...{ resource: 'configmaps', subresource: '', namespace, name: '', path: '' },
      });
    assert.equal((await ask('hooked')).decision, 'allow');
    assert.equal((await ask('free')).decision, 'no-opinion');
    assert.equal((await rbac!.authorize({} as never)).reason, 'rbac');
    webhook.answer = () => undefined;
    const other = { ...(await ask('hooked')) };
    assert.equal(other.decision, 'allow', 'what was allowed is remembered');
  });

  it('believes a front proxy, and nobody who only has its headers', async () => {
    await start({
      requestheaderClientCaFile: join(dir, 'ca.crt'),
      requestheaderAllowedNames: ['front'],
    });
    const agentFor = async (authority: Pki, commonName: string) =>
      new Agent({ ca: server!.pki.caCert, ...(await authority.issue({ commonName, usage: 'client' })) });
    const headers = { 'x-remote-user': 'zoe', 'x-remote-group': 'a, b', 'x-remote-extra-scopes': 'x' };
    const proxy = await agentFor(pki, 'front');
    assert.deepEqual(await whoami(headers, proxy), {
      username: 'zoe',
      groups: ['a', 'b', 'system:authenticated'],
      extra: { scopes: ['x'] },
    });
    const anonymous = 'system:anonymous';
    assert.equal(await whoami({}, proxy).then((u) => u.username ?? u), 403, 'a proxy is nobody itself');
    const stranger = await agentFor(pki, 'stranger');
    assert.equal(await whoami(headers, stranger).then((u) => u.username ?? u), 403);
    const client = await agentFor(server!.pki, 'front');
    assert.equal((await whoami(headers, client)).username, 'front');
    for (const agent of [proxy, stranger, client]) agent.destroy();
    void anonymous;
  });

  it('takes bootstrap tokens until they end', async () => {
    await start({});
    const base64 = (text: string) => Buffer.from(text).toString('base64');
    const secret = (id: string, extra: Record<string, string>) =>
      server!.http('POST', '/api/v1/namespaces/kube-system/secrets', {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          apiVersion: 'v1',
          kind: 'Secret',
          metadata: { name: `bootstrap-token-${id}` },
          type: 'bootstrap.kubernetes.io/token',
          data: Object.fromEntries(
            Object.entries({ 'token-id': id, 'token-secret': 's'.repeat(16), ...extra }).map(([k, v]) => [
              k,
              base64(v),
            ]),
          ),
        }),
      });
    const usage = { 'usage-bootstrap-authentication': 'true' };
    await secret('aaaaaa', { ...usage, 'auth-extra-groups': 'system:bootstrappers:workers' });
    await secret('bbbbbb', { ...usage, expiration: '2020-01-01T00:00:00Z' });
    await secret('cccccc', {});
    await secret('dddddd', { ...usage, 'auth-extra-groups': 'system:masters' });
    assert.deepEqual(await bearer(`aaaaaa.${'s'.repeat(16)}`), {
      username: 'system:bootstrap:aaaaaa',
      groups: ['system:bootstrappers', 'system:bootstrappers:workers', 'system:authenticated'],
    });
    assert.equal(await bearer(`aaaaaa.${'t'.repeat(16)}`), 401);
    for (const id of ['bbbbbb', 'cccccc', 'dddddd'])
      assert.equal(await bearer(`${id}.${'s'.repeat(16)}`), 401, id);
  });

  it('lets the anonymous see health and version alone, or nothing at all', async () => {
    await start({});
    const code = async (path: string) => (await server!.http('GET', path, { anonymous: true })).code;
    for (const path of ['/livez', '/readyz', '/healthz', '/version'])
      assert.equal(await code(path), 200, path);
    for (const path of [
      '/api',
      '/apis',
      '/api/v1/namespaces',
      '/metrics',
      '/openapi/v2',
      '/keelson/rotate-encryption-key',
    ])
      assert.equal(await code(path), 403, path);
    await server!.close();
    await start({ anonymousAuth: false });
    assert.equal(await code('/livez'), 401);
  });
});
