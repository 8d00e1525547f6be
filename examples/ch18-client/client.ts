/**
 * Makes a Deployment, follows its pods while it is scaled, and takes it away again, with the typed client.
 *   node client.js [NAMESPACE]
 */
import { homedir } from 'node:os';
import { Client, deployments, httpsTransport, loadKubeconfig, pods, StatusError } from 'keelson';

const kubeconfig = process.env['KUBECONFIG'] ?? `${homedir()}/.kube/config`;
const { transport, namespace: current } = await loadKubeconfig(kubeconfig);
const client = new Client(httpsTransport(transport));
const namespace = process.argv[2] ?? current;
const labels = { app: 'from-code' };
const labelSelector = 'app=from-code';

/** Resolves when `count` pods are ready; tells of each as it gets there. */
async function podsReady(count: number): Promise<void> {
  const ready = new Set<string>();
  const { items, metadata } = await client.of(pods).list({ namespace, labelSelector });
  const watch = client
    .of(pods)
    .watch({ namespace, labelSelector, resourceVersion: metadata.resourceVersion });
  for (const pod of items) if (isReady(pod)) ready.add(pod.metadata.name);
  if (ready.size >= count) return;
  for await (const { type, object } of watch) {
    const { name } = object.metadata;
    if (type === 'DELETED') ready.delete(name);
    else if (isReady(object) && !ready.has(name)) {
      ready.add(name);
      console.log(`ready: ${name} on ${object.spec?.nodeName}`);
    }
    if (ready.size >= count) return;
  }
}

const isReady = ({ status }: { status?: { conditions?: { type: string; status: string }[] } }) =>
  status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false;

try {
  const containers = [{ name: 'kuard', image: 'keelson.dev/demo:1' }];
  const made = await client.of(deployments).create({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'from-code', namespace },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: {
        metadata: { name: 'from-code', labels },
        spec: { terminationGracePeriodSeconds: 1, containers },
      },
    },
  });
  console.log(`made ${made.metadata.name}`);
  await podsReady(1);

  const scaled = await client
    .of(deployments)
    .patch(namespace, 'from-code', { spec: { replicas: 3 } }, { type: 'merge', fieldManager: 'example' });
  console.log(`scaled to ${scaled.spec?.replicas}`);
  await podsReady(3);

  const { items } = await client.of(pods).list({ namespace, labelSelector });
  console.log(`there are ${items.length} pods`);
  await client.of(deployments).delete(namespace, 'from-code', { propagationPolicy: 'Foreground' });
  await client.of(pods).get(namespace, 'no-such-pod');
} catch (error) {
  if (!(error instanceof StatusError)) throw error;
  console.log(`${error.code} ${error.reason}: ${error.message}`);
} finally {
  await client.close();
}
