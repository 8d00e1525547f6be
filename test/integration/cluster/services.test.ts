import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { get } from 'node:http';
import { createServer, type Server } from 'node:net';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { registerProcess } from '../../fixtures/registry.js';
import { type Kubectl, run, tool } from '../../fixtures/tools.js';

const IMAGE = 'keelson.dev/demo:blue';

function deployment(name: string, replicas: number) {
  const container = {
    ...{ name: 'c', image: IMAGE, ports: [{ name: 'http', containerPort: 8080 }] },
    readinessProbe: { httpGet: { path: '/ready', port: 'http' }, periodSeconds: 1 },
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [container], terminationGracePeriodSeconds: 5 },
      },
    },
  };
}

const service = (name: string, spec: object, app = 'web') => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector: { app }, ports: [{ port: 80, targetPort: 'http' }], ...spec },
});

interface Answer {
  hostname: string;
  request: { client: string };
}

/** One request on a connection of its own. */
function ask(at: string, timeout = 2000): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = get(`http://${at}/json`, { agent: false, timeout }, (response) => {
      let body = '';
      response.on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => {
        try {
          resolve(JSON.parse(body));
        } catch (error) {
          reject(error);
        }
      });
      response.on('error', reject);
    });
    request.on('timeout', () =>
      request.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })),
    );
    request.on('error', reject);
  });
}

async function hostsBehind(at: string, times = 30): Promise<string[]> {
  const answers = [];
  for (let i = 0; i < times; i++) answers.push((await ask(at)).hostname);
  return [...new Set(answers)].sort();
}

describe('Services', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let kubectl: Kubectl;
  let node: string;
  const apply = async (...objects: object[]) => {
    const list = { apiVersion: 'v1', kind: 'List', items: objects };
    const { code, stderr } = await kubectl.try(['apply', '-f', '-'], { stdin: JSON.stringify(list) });
    assert.equal(code, 0, stderr);
  };
  const field = (name: string, path: string, ...more: string[]) =>
    kubectl('get', 'service', name, ...more, '-o', `jsonpath={${path}}`);
  const ip = (name: string, ...more: string[]) => field(name, '.spec.clusterIP', ...more);
  const podNames = async (app = 'web') =>
    (await kubectl('get', 'pods', '-l', `app=${app}`, '-o', 'jsonpath={.items[*].metadata.name}'))
      .split(' ')
      .filter(Boolean)
      .sort();
  const rollout = (name = 'web') => kubectl('rollout', 'status', `deployment/${name}`, '--timeout=60s');
  const scale = (replicas: number) => kubectl('scale', 'deployment', 'web', `--replicas=${replicas}`);
  const table = async () => (await run('nft', ['list', 'table', 'inet', `keelson-${cluster.name}`])).stdout;

  before(async () => {
    cluster = await startTestCluster();
    kubectl = cluster.kubectl;
    node = await kubectl('get', 'nodes', '-o', 'jsonpath={.items[0].status.addresses[0].address}');
    await apply(deployment('web', 3));
    await kubectl('expose', 'deployment', 'web', '--port=80', '--target-port=http');
    await rollout();
  });
  after(() => cluster?.down());

  it('lead from the node to every ready pod', async () => {
    assert.deepEqual(await hostsBehind(await ip('web')), await podNames());
  });

  it('lead from a pod to its neighbours and, through the node, to itself', async () => {
    const [pod] = await podNames();
    const script = `for i in $(seq 30); do wget -q -O - http://${await ip('web')}/json; echo; done`;
    const answers = (await kubectl('exec', pod!, '--', 'sh', '-c', script))
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Answer);
    assert.deepEqual([...new Set(answers.map(({ hostname }) => hostname))].sort(), await podNames());
    const own = await kubectl('get', 'pod', pod!, '-o', 'jsonpath={.status.podIP}');
    for (const { hostname, request } of answers)
      assert.equal(request.client.startsWith(`${own}:`), hostname !== pod, 'others see who asks');
  });

  it('follow the number of pods, and refuse when there are none', async () => {
    const at = await ip('web');
    await scale(1);
    await eventually('one pod', async () => (await podNames()).length === 1);
    assert.deepEqual(await hostsBehind(at, 10), await podNames());
    await scale(0);
    await eventually('no pods', async () => (await podNames()).length === 0);
    await assert.rejects(ask(at), { code: 'ECONNREFUSED' });
    await scale(3);
    await rollout();
    assert.deepEqual(await hostsBehind(at), await podNames());
    await assert.rejects(ask(`${at}:81`), { code: 'ECONNREFUSED' }, 'a port that it does not have');
  });

  it('take a pod out that is not ready', async () => {
    const [pod] = await podNames();
    await kubectl('exec', pod!, '--', 'wget', '-q', '-O', '-', 'http://127.0.0.1:8080/ready/api?code=500');
    await kubectl('wait', '--for=condition=Ready=false', `pod/${pod}`, '--timeout=20s');
    await eventually('it to get nothing', async () => !(await hostsBehind(await ip('web'))).includes(pod!));
    await kubectl('exec', pod!, '--', 'wget', '-q', '-O', '-', 'http://127.0.0.1:8080/ready/api?code=200');
    await rollout();
  });

  it('open a port of the node, at each of its addresses', async () => {
    await apply(service('np', { type: 'NodePort' }));
    const port = await field('np', '.spec.ports[0].nodePort');
    for (const address of [node, '127.0.0.1'])
      await eventually(address, async () => (await hostsBehind(`${address}:${port}`)).length === 3);
    const [pod] = await podNames();
    await kubectl('exec', pod!, '--', 'wget', '-q', '-O', '-', `http://${node}:${port}/json`);
    await kubectl('delete', 'service', 'np');
    await eventually('it to close', () =>
      ask(`${node}:${port}`).then(
        () => false,
        () => true,
      ),
    );
  });

  it('stand beside host ports of pods', async () => {
    const container = (hostPort: number, hostIP?: string) => ({
      ...{ name: `c${hostPort}`, image: 'keelson.dev/demo:1' },
      ports: [{ containerPort: 8080, hostPort, ...(hostIP ? { hostIP } : {}) }],
    });
    const pod = (name: string, given: object) => ({
      ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name } },
      spec: { terminationGracePeriodSeconds: 0, containers: [given] },
    });
    await apply(pod('anywhere', container(8181)), pod('inside', container(8182, '127.0.0.1')));
    await kubectl('wait', '--for=condition=Ready', 'pod/anywhere', 'pod/inside', '--timeout=30s');
    for (const at of [`${node}:8181`, '127.0.0.1:8181', '127.0.0.1:8182'])
      await eventually(at, async () => (await hostsBehind(at)).length === 1);
    await assert.rejects(ask(`${node}:8182`), { code: 'ECONNREFUSED' }, 'at another address of the node');
    await kubectl('exec', 'anywhere', '--', 'wget', '-q', '-O', '-', `http://${node}:8181/json`);
    await kubectl('delete', 'pod', 'anywhere', 'inside');
    // Without grace they are gone from the API before they are from the node.
    await eventually('a closed port', () =>
      ask(`${node}:8181`).then(
        () => false,
        (error) => error.code === 'ECONNREFUSED',
      ),
    );
  });

  it('lead external addresses to the pods', async () => {
    await apply(service('ext', { externalIPs: ['203.0.113.77'] }));
    await eventually('an answer', () => ask('203.0.113.77'));
    await kubectl('delete', 'service', 'ext');
  });

  it('keep a client at one pod with session affinity, until that is gone', async () => {
    await apply(service('sticky', { sessionAffinity: 'ClientIP' }));
    const at = await ip('sticky');
    const [first] = await eventually('an answer', () => hostsBehind(at, 1));
    assert.deepEqual(await hostsBehind(at), [first]);
    await kubectl('delete', 'pod', first!);
    await rollout();
    const after = await hostsBehind(at);
    assert.equal(after.length, 1);
    assert.notEqual(after[0], first);
  });

  it('have addresses of every ServiceCIDR', async () => {
    const metadata = { name: 'more' };
    const spec = { cidrs: ['203.0.113.0/24'] };
    await apply({ apiVersion: 'networking.k8s.io/v1', kind: 'ServiceCIDR', metadata, spec });
    await apply(service('far', { clusterIP: '203.0.113.10' }));
    await eventually('all pods', async () => (await hostsBehind('203.0.113.10')).length === 3);
    const [pod] = await podNames();
    await kubectl('exec', pod!, '--', 'wget', '-q', '-O', '-', 'http://far/json');
    const shown = await kubectl('get', 'ipaddresses', '203.0.113.10', '--no-headers');
    assert.match(shown, /^203\.0\.113\.10 +services\/default\/far$/m);
    await kubectl('delete', 'servicecidr', 'more', '--wait=false');
    await kubectl('wait', '--for=condition=Ready=false', 'servicecidr/more', '--timeout=10s');
    await kubectl('delete', 'service', 'far');
    await kubectl('wait', '--for=delete', 'servicecidr/more', '--timeout=10s');
    assert.equal((await kubectl.try(['get', 'ipaddresses', '203.0.113.10'])).code, 1);
  });

  it('have no rules when they are headless', async () => {
    const before = await table();
    await apply(service('headless', { clusterIP: 'None' }));
    const slices = () =>
      kubectl('get', 'endpointslices', '-l', 'kubernetes.io/service-name=headless', '--no-headers');
    await eventually('its slice', async () => /IPv4\s+8080\s+10\./.test(await slices()));
    const rules = (text: string) => (text.match(/\S+ \. tcp \. \S+ : goto/g) ?? []).sort();
    assert.deepEqual(rules(await table()), rules(before));
    assert.match(await slices(), /^headless-[a-z0-9]{5}\s/);
  });

  it('are of their namespace', async () => {
    await kubectl('create', 'namespace', 'other');
    await kubectl('-n', 'other', 'create', 'deployment', 'web', `--image=${IMAGE}`, '--port=8080');
    await kubectl('-n', 'other', 'expose', 'deployment', 'web', '--port=80', '--target-port=8080');
    await kubectl('-n', 'other', 'rollout', 'status', 'deployment/web', '--timeout=30s');
    const at = await ip('web', '-n', 'other');
    const own = await eventually('an answer', () => hostsBehind(at));
    assert.equal(own.length, 1);
    assert.ok(!(await podNames()).includes(own[0]!));
  });

  it('carry UDP to endpoints that were made by hand, and forget those that are gone', async () => {
    const server = (answer: string): Promise<Socket> =>
      new Promise((resolve) => {
        const socket = createSocket('udp4');
        socket.on('message', (_, from) => socket.send(answer, from.port, from.address));
        socket.bind(0, node, () => resolve(socket));
      });
    const [one, two] = [await server('one'), await server('two')];
    const client = createSocket('udp4');
    const answers: string[] = [];
    client.on('message', (message) => answers.push(String(message)));
    try {
      const endpoints = (socket: Socket) => ({
        apiVersion: 'v1',
        kind: 'Endpoints',
        metadata: { name: 'udp' },
        subsets: [{ addresses: [{ ip: node }], ports: [{ port: socket.address().port, protocol: 'UDP' }] }],
      });
      const ports = [{ port: 9000, protocol: 'UDP' }];
      await apply({ ...service('udp', {}), spec: { ports } }, endpoints(one));
      const at = await ip('udp');
      const next = () =>
        eventually('an answer', async () => {
          client.send('?', 9000, at);
          await new Promise((resolve) => setTimeout(resolve, 50));
          return answers.pop();
        });
      assert.equal(await next(), 'one');
      await apply(endpoints(two));
      await eventually('the same socket to reach the other', async () => (await next()) === 'two');
    } finally {
      for (const socket of [one, two, client]) socket.close();
    }
  });

  it('lead to the API server, from pods and from the node', async () => {
    const at = await ip('kubernetes');
    const response = await run('curl', ['-sk', '--max-time', '3', `https://${at}/version`]);
    assert.match(response.stdout, /"major": "1"/);
    const [pod] = await podNames();
    const env = await kubectl('exec', pod!, '--', 'env');
    assert.match(env, new RegExp(`^KUBERNETES_SERVICE_HOST=${at}$`, 'm'));
    assert.match(env, /^WEB_SERVICE_PORT=80$/m);
    assert.equal((await kubectl.try(['exec', pod!, '--', 'nc', '-w', '2', at, '443'])).code, 0);
  });

  it('are forwarded to by kubectl, and shown by it', async () => {
    const free = await new Promise<number>((resolve) => {
      const probe: Server = createServer().listen(0, '127.0.0.1', () => {
        const { port } = probe.address() as { port: number };
        probe.close(() => resolve(port));
      });
    });
    const child = spawn(tool('kubectl'), ['port-forward', 'service/web', `${free}:80`], {
      env: { ...process.env, KUBECONFIG: kubectl.kubeconfig },
    });
    registerProcess(child.pid!);
    try {
      await eventually('an answer', () => ask(`127.0.0.1:${free}`));
    } finally {
      child.kill();
    }
    assert.match(await kubectl('get', 'endpoints', 'web', '--no-headers'), /^web\s+(10\.\S+:8080,?){3}\s/);
    assert.match(await kubectl('describe', 'service', 'web'), /Endpoints:\s+(10\.\S+:8080,?){3}\n/);
  });

  it('lose no request while their pods are replaced', async () => {
    const at = await ip('web');
    const failures: string[] = [];
    let answered = 0;
    let done = false;
    const client = async () => {
      while (!done)
        await ask(at).then(
          () => answered++,
          (error) => failures.push(error.code ?? error.message),
        );
    };
    const clients = [client(), client(), client()];
    const before = await podNames();
    await kubectl('rollout', 'restart', 'deployment/web');
    await rollout();
    await eventually(
      'the old pods to go',
      async () => !(await podNames()).some((name) => before.includes(name)),
    );
    done = true;
    await Promise.all(clients);
    assert.deepEqual(failures, []);
    assert.ok(answered > 100, `only ${answered} requests`);
  });

  it('find each other by name, as a reader of the book runs it', async () => {
    const folder = 'examples/ch07-service-discovery';
    await kubectl('apply', '-f', `${folder}/alpaca-prod.yaml`, '-f', `${folder}/bandicoot-prod.yaml`);
    for (const name of ['alpaca-prod', 'bandicoot-prod']) await rollout(name);
    const from = [
      'exec',
      'deploy/bandicoot-prod',
      '--',
      'wget',
      '-q',
      '-O',
      '-',
      'http://alpaca-prod:8080/json',
    ];
    assert.match(await kubectl(...from), /"hostname":"alpaca-prod-/);
    await kubectl('apply', '-f', `${folder}/external-ip-service.yaml`);
    await eventually('the mirrored slice', async () =>
      /3306\s+192\.0\.2\.10/.test(await kubectl('get', 'endpointslices')),
    );
    await kubectl('delete', '-f', folder);
  });

  it('outlive the agent, and catch up with what changed without it', async () => {
    const at = await ip('web');
    process.kill(cluster.pid('agent'), 'SIGKILL');
    await ask(at);
    await apply(service('later', {}));
    await cluster.restart('agent');
    await eventually('the new one', async () => ask(await ip('later')));
    assert.equal((await hostsBehind(at)).length, 3);
  });
});
