/** Which ConfigMaps, Secrets, claims and accounts the pods of each node refer to, kept from the store's events. */
import type { Pod } from '#types';
import type { KubeObject } from '../../api/machinery/types.js';
import type { Store, Watcher } from '../../store/store.js';

const PODS = 'core/pods/';

const id = (resource: string, namespace: string, name: string) => `${resource}/${namespace}/${name}`;

/** Everything that a pod refers to, as `<resource>/<namespace>/<name>`. */
export function referencesOf(pod: Pod): Set<string> {
  const found = new Set<string>();
  const namespace = pod.metadata?.namespace ?? '';
  const add = (resource: string, name: string | undefined) => {
    if (name) found.add(id(resource, namespace, name));
  };
  const { spec } = pod;
  if (!spec) return found;
  add('serviceaccounts', spec.serviceAccountName || 'default');
  for (const secret of spec.imagePullSecrets ?? []) add('secrets', secret.name);
  for (const container of [
    ...(spec.initContainers ?? []),
    ...spec.containers,
    ...(spec.ephemeralContainers ?? []),
  ]) {
    for (const source of container.envFrom ?? []) {
      add('configmaps', source.configMapRef?.name);
      add('secrets', source.secretRef?.name);
    }
    for (const { valueFrom } of container.env ?? []) {
      add('configmaps', valueFrom?.configMapKeyRef?.name);
      add('secrets', valueFrom?.secretKeyRef?.name);
    }
  }
  for (const volume of spec.volumes ?? []) addVolume(pod, volume, add);
  for (const one of [...(spec.resourceClaims ?? []), ...(pod.status?.resourceClaimStatuses ?? [])])
    add('resourceclaims', one.resourceClaimName);
  return found;
}

type Volume = NonNullable<NonNullable<Pod['spec']>['volumes']>[number];

function addVolume(
  pod: Pod,
  volume: Volume,
  add: (resource: string, name: string | undefined) => void,
): void {
  add('configmaps', volume.configMap?.name);
  add('secrets', volume.secret?.secretName);
  add('persistentvolumeclaims', volume.persistentVolumeClaim?.claimName);
  if (volume.ephemeral) add('persistentvolumeclaims', `${pod.metadata?.name}-${volume.name}`);
  add('secrets', volume.csi?.nodePublishSecretRef?.name);
  for (const source of volume.projected?.sources ?? []) {
    add('configmaps', source.configMap?.name);
    add('secrets', source.secret?.name);
  }
}

export class PodReferences {
  readonly #store: Store;
  readonly #closed = new AbortController();
  /** Node → pod key → references. */
  readonly #nodes = new Map<string, Map<string, Set<string>>>();
  readonly #nodeOf = new Map<string, string>();
  #watcher: Watcher | undefined;
  #ready: Promise<void> | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Whether a pod on `node` refers to this object. */
  async has(node: string, resource: string, namespace: string, name: string): Promise<boolean> {
    this.#ready ??= this.#start();
    await this.#ready;
    const wanted = id(resource, namespace, name);
    if (this.#known(node, wanted)) return true;
    // The pod's event may not have come here yet: look once at the pods as they are.
    await this.#read();
    return this.#known(node, wanted);
  }

  close(): void {
    this.#closed.abort();
    this.#watcher?.close();
  }

  #known(node: string, wanted: string): boolean {
    for (const references of this.#nodes.get(node)?.values() ?? []) if (references.has(wanted)) return true;
    return false;
  }

  async #read(): Promise<number> {
    const { items, revision } = await this.#store.list(PODS);
    for (const { key, object } of items) this.#put(key, object);
    return revision;
  }

  async #start(): Promise<void> {
    const revision = await this.#read();
    if (this.#closed.signal.aborted) return;
    this.#watcher = this.#store.watch(PODS, revision);
    void this.#follow(this.#watcher);
  }

  async #follow(watcher: Watcher): Promise<void> {
    try {
      while (!this.#closed.signal.aborted) {
        for (const { type, stored } of await watcher.next(this.#closed.signal)) {
          if (type === 'DELETED') this.#remove(stored.key);
          else this.#put(stored.key, stored.object);
        }
      }
    } catch {
      // Fallen behind the window: begin anew at the next question.
      watcher.close();
      this.#nodes.clear();
      this.#nodeOf.clear();
      this.#ready = undefined;
    }
  }

  #put(key: string, object: KubeObject): void {
    const node = object['spec']?.nodeName as string | undefined;
    if (!node) return;
    let pods = this.#nodes.get(node);
    if (!pods) {
      pods = new Map();
      this.#nodes.set(node, pods);
    }
    pods.set(key, referencesOf(object as Pod));
    this.#nodeOf.set(key, node);
  }

  #remove(key: string): void {
    const node = this.#nodeOf.get(key);
    if (node === undefined) return;
    this.#nodeOf.delete(key);
    const pods = this.#nodes.get(node);
    pods?.delete(key);
    if (pods?.size === 0) this.#nodes.delete(node);
  }
}
