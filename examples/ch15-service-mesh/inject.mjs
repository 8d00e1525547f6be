// The mutating webhook: puts the proxy into pods.
//   node inject.mjs KEY CERTIFICATE
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

const IMAGE = 'mesh.example/proxy:1';
const PROXY_USER = 1337;
const PROBE_PORT = 15020;
const SETTINGS = { name: 'mesh-settings', mountPath: '/mesh/settings', readOnly: true };
const PROBES = ['readinessProbe', 'livenessProbe', 'startupProbe'];
const [key, cert] = process.argv.slice(2).map((path) => readFileSync(path));

/** The pod with two more init containers: one that redirects and ends, one that stays for as long as the pod. */
function inject(pod) {
  const { containers, initContainers = [], volumes = [], serviceAccountName = 'default' } = pod.spec;
  const allowed = pod.metadata.annotations?.['mesh.example/allow'] ?? '*';
  const probed = containers.flatMap((container) => PROBES.map((name) => container[name]?.httpGet?.path ?? []));
  const redirect = {
    name: 'mesh-redirect',
    image: IMAGE,
    command: ['nft', '-f', '/mesh/settings/redirect.nft'],
    securityContext: { runAsUser: 0, capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] } },
    volumeMounts: [SETTINGS],
  };
  const proxy = {
    name: 'mesh-proxy',
    image: IMAGE,
    // An init container that is started again is a sidecar: ready before the application starts, ended after it.
    restartPolicy: 'Always',
    command: ['haproxy', '-db', '-f', '/mesh/settings/proxy.cfg'],
    env: [
      { name: 'PORT', value: `${containers[0].ports?.[0]?.containerPort ?? 8080}` },
      { name: 'ALLOWED', value: allowed },
      { name: 'PROBED', value: probed.flat().join(' ') || '/' },
    ],
    startupProbe: { tcpSocket: { port: PROBE_PORT }, periodSeconds: 1 },
    securityContext: { runAsUser: PROXY_USER, runAsNonRoot: true, capabilities: { drop: ['ALL'] } },
    volumeMounts: [SETTINGS, { name: 'mesh-identity', mountPath: '/mesh/identity', readOnly: true }],
  };
  const identity = { name: 'mesh-identity', secret: { secretName: `mesh-identity-${serviceAccountName}` } };
  const settings = { name: 'mesh-settings', configMap: { name: 'mesh' } };
  return {
    ...pod.spec,
    containers: containers.map(throughProxy),
    initContainers: [redirect, proxy, ...initContainers],
    volumes: [...volumes, settings, identity],
  };
}

/** The node has no certificate, so its HTTP probes go to the proxy's port for them. */
function throughProxy(container) {
  const changed = { ...container };
  for (const name of PROBES)
    if (container[name]?.httpGet)
      changed[name] = { ...container[name], httpGet: { ...container[name].httpGet, port: PROBE_PORT } };
  return changed;
}

const server = createServer({ key, cert }, async (request, answer) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const { apiVersion, kind, request: asked } = JSON.parse(Buffer.concat(chunks));
  const patch = [{ op: 'replace', path: '/spec', value: inject(asked.object) }];
  const encoded = Buffer.from(JSON.stringify(patch)).toString('base64');
  const response = { uid: asked.uid, allowed: true, patchType: 'JSONPatch', patch: encoded };
  answer.setHeader('content-type', 'application/json');
  answer.end(JSON.stringify({ apiVersion, kind, response }));
});
server.listen(0, '127.0.0.1', () => {
  console.log(`pid ${process.pid}\nlistening on ${server.address().port}`);
});
