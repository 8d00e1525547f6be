/** Ingresses of a real cluster, as the book has them, and what a proxy in production has to stand. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import type { Kubectl } from '../../fixtures/tools.js';

const EXAMPLES = 'examples/ch08-ingress';

/** A port that is free now. */
async function freePort(): Promise<number> {
  const server = net.createServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Self-signed, in files below `dir`. */
function certificate(dir: string, name: string): { cert: string; key: string } {
  const [cert, key] = [join(dir, `${name}.crt`), join(dir, `${name}.key`)];
  const subject = ['-subj', '/CN=alpaca.example.com', '-addext', 'subjectAltName=DNS:alpaca.example.com'];
  const keys = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key];
  execFileSync('openssl', ['req', '-x509', '-days', '2', ...keys, ...subject, '-out', cert], {
    stdio: 'ignore',
  });
  return { cert, key };
}

describe('Ingress', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let kubectl: Kubectl;
  let httpPort: number;
  let httpsPort: number;
  let dir: string;
  const apply = async (yaml: string) => {
    const { code, stderr } = await kubectl.try(['apply', '-f', '-'], { stdin: yaml });
    assert.equal(code, 0, stderr);
  };
  const get = async (path: string, host = 'any.test', agent: http.Agent | false = false) => {
    const request = http.get({ port: httpPort, path, headers: { host }, agent });
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    let body = '';
    for await (const chunk of response) body += chunk;
    return { status: response.statusCode, body };
  };
  /** The application that answers: its pods' host names begin with its name. */
  const servedBy = async (path: string, host?: string) =>
    /HOSTNAME"?[:=]"?([a-z-]+?)-[a-z0-9]+-[a-z0-9]{5}\b|"hostname":"([a-z-]+?)-[a-z0-9]+-[a-z0-9]{5}"/
      .exec((await get(path, host)).body)
      ?.slice(1)
      .find(Boolean);

  before(async () => {
    [httpPort, httpsPort] = [await freePort(), await freePort()];
    dir = mkdtempSync(join(tmpdir(), 'keelson-test-ingress-'));
    cluster = await startTestCluster(
      ...['--ingress-http-port', `${httpPort}`, '--ingress-https-port', `${httpsPort}`],
    );
    kubectl = cluster.kubectl;
    await kubectl('apply', '-f', `${EXAMPLES}/apps.yaml`);
    await kubectl('rollout', 'status', 'deployment', '--timeout=60s');
  });
  after(async () => {
    await cluster?.down();
    rmSync(dir, { recursive: true, force: true });
  });

  it('listens only while there is an Ingress', async () => {
    await assert.rejects(get('/'), { code: 'ECONNREFUSED' });
    await kubectl('apply', '-f', `${EXAMPLES}/simple-ingress.yaml`);
    assert.equal(await eventually('an answer', () => servedBy('/env')), 'alpaca');
    await kubectl('delete', '-f', `${EXAMPLES}/simple-ingress.yaml`);
    await eventually('a closed port', () =>
      get('/').then(
        () => false,
        (error) => error.code === 'ECONNREFUSED',
      ),
    );
  });

  it('has a default class, and tells its address', async () => {
    assert.match(await kubectl('get', 'ingressclass'), /^keelson\s+keelson\.dev\/ingress/m);
    await kubectl('apply', '-f', `${EXAMPLES}/host-ingress.yaml`);
    const address = await kubectl('get', 'node', '-o', 'jsonpath={.items[0].status.addresses[0].address}');
    await eventually('the address', async () => {
      const row = await kubectl('get', 'ingress', 'host-ingress', '--no-headers');
      return (
        row.includes(address) && /^host-ingress\s+keelson\s+alpaca\.example\.com,\*\.example\.com/.test(row)
      );
    });
  });

  it('goes by host, wildcard, and default backend', async () => {
    assert.equal(await servedBy('/env', 'alpaca.example.com'), 'alpaca');
    assert.equal(await servedBy('/env', 'llama.example.com:8080'), 'bandicoot');
    assert.equal(await servedBy('/env', 'x.y.example.com'), 'be-default');
    await kubectl('delete', '-f', `${EXAMPLES}/host-ingress.yaml`);
  });

  it('goes by path, and answers 404 for what no rule takes', async () => {
    await kubectl('apply', '-f', `${EXAMPLES}/path-ingress.yaml`);
    const host = 'bandicoot.example.com';
    assert.equal(await eventually('the rule', () => servedBy('/env', host)), 'alpaca');
    assert.equal(await servedBy('/json', host), 'bandicoot');
    assert.equal((await get('/fs/', host)).status, 200);
    const missing = await get('/', 'elsewhere.test');
    assert.deepEqual([missing.status, missing.body], [404, 'default backend - 404\n']);
  });

  it('leaves Ingresses of other classes alone', async () => {
    await apply(`
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: other}
spec: {controller: example.com/other}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: other}
spec:
  ingressClassName: other
  defaultBackend: {service: {name: alpaca, port: {number: 8080}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: legacy, annotations: {kubernetes.io/ingress.class: keelson}}
spec:
  rules:
    - host: legacy.test
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: alpaca, port: {number: 8080}}}}]}
`);
    assert.equal(await eventually('the legacy rule', () => servedBy('/env', 'legacy.test')), 'alpaca');
    assert.equal((await get('/', 'elsewhere.test')).status, 404);
    assert.equal(
      await kubectl('get', 'ingress', 'other', '-o', 'jsonpath={.status.loadBalancer.ingress}'),
      '',
    );
    await kubectl('delete', 'ingress', 'other', 'legacy');
  });

  it('loses no request while an application is updated, and neither does its Service', async () => {
    await kubectl('apply', '-f', `${EXAMPLES}/simple-ingress.yaml`);
    await eventually('an answer', () => servedBy('/env'));
    const counts = new Map<string, number>();
    const agent = new http.Agent({ keepAlive: true });
    const service = await kubectl('get', 'service', 'alpaca', '-o', 'jsonpath={.spec.clusterIP}');
    const direct = async () => {
      const [response] = await once(http.get(`http://${service}:8080/ready`, { agent: false }), 'response');
      response.resume();
      return { status: response.statusCode };
    };
    let stop = false;
    const client = async (ask: () => Promise<{ status?: number | undefined }>) => {
      while (!stop) {
        const result = await ask().then(
          ({ status }) => `${status}`,
          (error) => `${error.message}`,
        );
        counts.set(result, (counts.get(result) ?? 0) + 1);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    const through = () => get('/ready', 'any.test', agent);
    const clients = Promise.all([client(through), client(through), client(direct), client(direct)]);
    await kubectl('rollout', 'restart', 'deployment/alpaca');
    await kubectl('rollout', 'status', 'deployment/alpaca', '--timeout=60s');
    await kubectl('scale', 'deployment/alpaca', '--replicas=1');
    await eventually(
      'one pod',
      async () =>
        (await kubectl('get', 'pods', '-l', 'app=alpaca', '-o', 'name')).trim().split('\n').length === 1,
    );
    stop = true;
    await clients;
    agent.destroy();
    assert.deepEqual([...counts.keys()], ['200'], JSON.stringify([...counts]));
    assert.ok(counts.get('200')! > 100);
    await kubectl('delete', '-f', `${EXAMPLES}/simple-ingress.yaml`);
  });

  it('serves TLS by name, from a Secret that may change, without ending what is open', async () => {
    const connect = async (servername: string) => {
      const socket = tls.connect({ port: httpsPort, servername, rejectUnauthorized: false });
      await once(socket, 'secureConnect');
      return { socket, print: socket.getPeerX509Certificate()!.fingerprint256 };
    };
    const print = async (servername: string) => {
      const { socket, print } = await connect(servername);
      socket.destroy();
      return print;
    };
    const printOf = (file: string) =>
      execFileSync('openssl', ['x509', '-noout', '-fingerprint', '-sha256', '-in', file])
        .toString()
        .trim()
        .split('=')[1];
    const name = 'alpaca.example.com';
    await kubectl('apply', '-f', `${EXAMPLES}/tls-ingress.yaml`);
    await eventually('a handshake', () => print(name));
    await eventually('the event', async () =>
      /CertificateUnusable.*default\/tls-secret/.test(await kubectl('get', 'events')),
    );
    const first = certificate(dir, 'first');
    await kubectl('create', 'secret', 'tls', 'tls-secret', '--cert', first.cert, '--key', first.key);
    await eventually('the certificate', async () => (await print(name)) === printOf(first.cert));
    assert.notEqual(await print('other.test'), printOf(first.cert));

    const open = await connect(name);
    const second = certificate(dir, 'second');
    const base64 = (file: string) => readFileSync(file).toString('base64');
    const data = { 'tls.crt': base64(second.cert), 'tls.key': base64(second.key) };
    await kubectl('patch', 'secret', 'tls-secret', '-p', JSON.stringify({ data }));
    await eventually('the new certificate', async () => (await print(name)) === printOf(second.cert));
    open.socket.write(`GET /env HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`);
    let text = '';
    for await (const chunk of open.socket) text += chunk;
    assert.match(text, /^HTTP\/1\.1 200 [\s\S]*alpaca-/);
    await kubectl('delete', '-f', `${EXAMPLES}/tls-ingress.yaml`);
  });

  describe('with an application that streams and changes protocols', () => {
    // Answers each connection by a script: bytes back after an upgrade, else a chunk every half second.
    const script = [
      'while read line; do line=$(echo "$line" | tr -d "\\r"); [ -z "$line" ] && break;',
      'case "$line" in [Uu]pgrade:*) up=1;; esac; done;',
      'if [ -n "$up" ]; then printf "HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: echo\\r\\n\\r\\n"; exec cat; fi;',
      'printf "HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\nConnection: close\\r\\n\\r\\n";',
      'for i in 1 2 3; do printf "2\\r\\n$i\\n\\r\\n"; sleep 0.5; done; printf "0\\r\\n\\r\\n"',
    ].join(' ');

    before(async () => {
      await apply(`
apiVersion: v1
kind: ConfigMap
metadata: {name: script}
data: {serve: ${JSON.stringify(`#!/bin/sh\n${script}\n`)}}
---
apiVersion: v1
kind: Pod
metadata: {name: streamer, labels: {app: streamer}}
spec:
  containers:
    - name: nc
      image: busybox
      command: [nc, -ll, -p, "8080", -e, /script/serve]
      volumeMounts: [{name: script, mountPath: /script}]
  volumes: [{name: script, configMap: {name: script, defaultMode: 0755}}]
---
apiVersion: v1
kind: Service
metadata: {name: streamer}
spec: {selector: {app: streamer}, ports: [{name: web, port: 80, targetPort: 8080}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: streamer}
spec:
  rules:
    - host: stream.test
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: streamer, port: {name: web}}}}]}
`);
      await kubectl('wait', 'pod/streamer', '--for=condition=Ready', '--timeout=30s');
      await eventually('an answer', async () => (await get('/', 'stream.test')).status === 200);
    });

    it('passes pieces on as they come', async () => {
      const request = http.get({ port: httpPort, headers: { host: 'stream.test' }, agent: false });
      const [response] = (await once(request, 'response')) as [http.IncomingMessage];
      const times: number[] = [];
      let body = '';
      for await (const chunk of response) {
        times.push(performance.now());
        body += chunk;
      }
      assert.equal(body, '1\n2\n3\n');
      assert.ok(times.at(-1)! - times[0]! > 700, 'they did not come at once');
    });

    it('joins both sides of an upgraded connection', async () => {
      const headers = { host: 'stream.test', connection: 'Upgrade', upgrade: 'echo' };
      const request = http.get({ port: httpPort, headers, agent: false });
      const [response, socket] = (await once(request, 'upgrade')) as [http.IncomingMessage, net.Socket];
      assert.equal(response.headers.upgrade, 'echo');
      for (const text of ['one', 'two']) {
        socket.write(text);
        assert.equal(String((await once(socket, 'data'))[0]), text);
      }
      socket.destroy();
    });
  });

  it('says so when a port is taken, and goes on without it', async () => {
    const taken = net.createServer().listen(0);
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const other = await startTestCluster('--ingress-http-port', `${port}`);
    try {
      await other.kubectl('create', 'ingress', 'one', '--rule', 'a.test/*=nobody:80');
      await eventually('the event', async () =>
        /IngressPortUnavailable.*another program/.test(await other.kubectl('get', 'events')),
      );
      assert.match(await other.kubectl('get', 'nodes'), /\sReady\s/);
    } finally {
      taken.close();
      await other.down();
    }
  });
});
