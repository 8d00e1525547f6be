/** What each node has to know, from one set of caches that all nodes share. */
import type {
  ConfigMap,
  CSIDriver,
  EndpointSlice,
  Ingress,
  Namespace,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  Secret,
  Service,
  VolumeAttachment,
} from '#types';
import { familyOf } from '../api/machinery/prefix.js';
import { type KubeObject, objectKey } from '../api/machinery/types.js';
import {
  configMaps,
  csiDrivers,
  endpointSlices,
  namespaces,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  secrets,
  services,
  volumeAttachments,
} from '../api/resources/index.js';
import { INGRESS_NODE_LABEL, tlsSecrets } from '../api/resources/networking/ingress-controller.js';
import { LOCAL_PATH_NODE } from '../api/storage/annotations.js';
import type { Informer } from '../client/informer.js';
import type { Informers } from '../client/informers.js';
import { NodePolicies } from './node-policies.js';
import { furtherReferences, podReferences } from './references.js';
import { ServedIngresses } from './served-ingresses.js';

/** Told of every object that a node has to know, and of those that it has not any more. */
export interface NodeListener {
  /** Resources of a node in the order of dependence: what pods refer to comes before the pods. */
  changed(resource: string, object: KubeObject): void;
  gone(resource: string, key: string): void;
}

interface View {
  node: string;
  listener: NodeListener;
  /** `configmaps default/x` → keys of the pods, names of the Ingresses and the like that refer to it. */
  references: Map<string, Set<string>>;
  byPod: Map<string, string[]>;
  /** Whether the node is told of Ingresses. */
  ingress: boolean;
}

const servesIngresses = (node: Node | undefined): boolean =>
  node?.metadata.labels?.[INGRESS_NODE_LABEL] === 'true';

/** In place of a pod's key: no such key has a blank. */
const ingressUser = (key: string): string => `ingress ${key}`;

const objectUser = (resource: string, key: string): string => `${resource} ${key}`;
const localUser = (volume: string): string => `local ${volume}`;

const id = (resource: string, key: string) => `${resource} ${key}`;

const localNode = ({ metadata }: PersistentVolume): string[] => {
  const node = metadata.annotations?.[LOCAL_PATH_NODE];
  return node ? [node] : [];
};

/** How a node's pods are reached, as an object of its own; undefined while that is not known. */
function nodeRoute({ metadata, spec, status }: Node): KubeObject | undefined {
  const addresses = (status?.addresses ?? []).filter((a) => a.type === 'InternalIP').map((a) => a.address);
  const podCidrs = spec?.podCIDRs ?? (spec?.podCIDR ? [spec.podCIDR] : []);
  const routes = podCidrs.flatMap((podCidr) => {
    const address = addresses.find((one) => familyOf(one) === familyOf(podCidr));
    return address ? [{ podCidr, address }] : [];
  });
  if (routes.length === 0) return undefined;
  const { name, uid } = metadata;
  // Its version is what it says.
  const resourceVersion = routes.map(({ podCidr, address }) => `${podCidr} ${address}`).join();
  return {
    apiVersion: 'keelson.dev/v1',
    kind: 'NodeRoute',
    metadata: { name, uid, resourceVersion },
    routes,
  };
}

/** Of a namespace only that it is there. */
function namespaceName({ metadata: { name, uid } }: Namespace & KubeObject): KubeObject {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, uid, resourceVersion: uid } };
}

export class NodeObjects {
  readonly synced: Promise<void>;
  readonly #pods: Informer<Pod>;
  readonly #nodes: Informer<Node>;
  readonly #namespaces: Informer<Namespace & KubeObject>;
  /** What every node gets all of. */
  readonly #everywhere: Record<string, Informer<any>>;
  readonly #referenced: Record<string, Informer<any>>;
  readonly #volumes: Informer<PersistentVolume>;
  readonly #served: ServedIngresses;
  readonly #policies: NodePolicies;
  readonly #views = new Map<string, View>();
  readonly #routes = new Map<string, KubeObject>();
  readonly #names = new Map<string, KubeObject>();
  readonly #unsubscribe: (() => void)[] = [];

  constructor(informers: Informers) {
    this.#pods = informers.of(pods, {
      indexes: { node: (pod: Pod) => (pod.spec?.nodeName ? [pod.spec.nodeName] : []) },
    });
    this.#nodes = informers.of(nodes);
    this.#namespaces = informers.of(namespaces);
    this.#everywhere = {
      services: informers.of<Service>(services),
      endpointslices: informers.of<EndpointSlice>(endpointSlices),
      csidrivers: informers.of<CSIDriver>(csiDrivers),
    };
    this.#volumes = informers.of<PersistentVolume>(persistentVolumes, {
      indexes: { [LOCAL_PATH_NODE]: localNode },
    });
    this.#referenced = {
      configmaps: informers.of<ConfigMap>(configMaps),
      secrets: informers.of<Secret>(secrets),
      volumeattachments: informers.of<VolumeAttachment>(volumeAttachments),
      persistentvolumes: this.#volumes,
      persistentvolumeclaims: informers.of<PersistentVolumeClaim>(persistentVolumeClaims),
    };
    this.#served = new ServedIngresses(informers, {
      served: (ingress) => {
        for (const view of this.#views.values()) if (view.ingress) this.#tellIngress(view, ingress);
      },
      dropped: (key) => {
        for (const view of this.#views.values()) if (view.ingress) this.#ingressGone(view, key);
      },
    });
    this.#policies = new NodePolicies(informers);
    const all = [
      this.#served,
      this.#policies,
      this.#pods,
      this.#nodes,
      this.#namespaces,
      ...Object.values(this.#everywhere),
      ...Object.values(this.#referenced),
    ];
    this.synced = Promise.all(all.map((informer) => informer.synced)).then(() => {});
    this.#subscribe();
    this.#subscribeLocalVolumes();
  }

  #subscribe(): void {
    const podChanged = (pod: Pod) => this.#podChanged(pod);
    this.#unsubscribe.push(
      this.#pods.on({
        added: podChanged,
        updated: (_, pod) => podChanged(pod),
        deleted: (pod) => this.#podGone(pod),
      }),
    );
    const nodeChanged = (node: Node) => {
      this.#ownNodeChanged(node);
      this.#routeChanged(node);
    };
    this.#unsubscribe.push(
      this.#nodes.on({
        added: nodeChanged,
        updated: (_, node) => nodeChanged(node),
        deleted: ({ metadata: { name } }) => {
          this.#views.get(name)?.listener.gone('nodes', name);
          this.#routes.delete(name);
          for (const [other, view] of this.#views) if (other !== name) view.listener.gone('noderoutes', name);
        },
      }),
    );
    this.#unsubscribe.push(
      this.#namespaces.on({
        added: (namespace) => {
          const name = namespaceName(namespace);
          this.#names.set(name.metadata.name, name);
          for (const view of this.#views.values()) view.listener.changed('namespaces', name);
        },
        deleted: ({ metadata: { name } }) => {
          this.#names.delete(name);
          for (const view of this.#views.values()) view.listener.gone('namespaces', name);
        },
      }),
    );
    for (const [resource, informer] of Object.entries(this.#everywhere)) {
      const changed = (object: KubeObject) => {
        for (const view of this.#views.values()) view.listener.changed(resource, object);
      };
      const deleted = (object: KubeObject) => {
        for (const view of this.#views.values()) view.listener.gone(resource, objectKey(object));
      };
      this.#unsubscribe.push(
        informer.on({
          added: changed,
          updated: (_: KubeObject, object: KubeObject) => changed(object),
          deleted,
        }),
      );
    }
    for (const [resource, informer] of Object.entries(this.#referenced)) {
      const interested = (object: KubeObject, tell: (view: View) => void) => {
        const ref = id(resource, objectKey(object));
        for (const view of this.#views.values()) if (view.references.has(ref)) tell(view);
      };
      const changed = (object: KubeObject) =>
        interested(object, (view) => this.#tellReferenced(view, resource, object));
      this.#unsubscribe.push(
        informer.on({
          added: changed,
          updated: (_: KubeObject, object: KubeObject) => changed(object),
          deleted: (object: KubeObject) =>
            interested(object, (view) => this.#referencedGone(view, resource, objectKey(object))),
        }),
      );
    }
  }

  /** A node has to know of the volumes whose folders it has, whether a pod uses them or not. */
  #subscribeLocalVolumes(): void {
    const added = (volume: PersistentVolume) => {
      const view = this.#views.get(localNode(volume)[0] ?? '');
      if (view) this.#holdLocal(view, volume);
    };
    this.#unsubscribe.push(
      this.#volumes.on({
        added,
        updated: (_, volume) => added(volume),
        deleted: ({ metadata }) => {
          for (const view of this.#views.values()) this.#setReferences(view, localUser(metadata.name), []);
        },
      }),
    );
  }

  #holdLocal(view: View, { metadata }: PersistentVolume): void {
    this.#setReferences(view, localUser(metadata.name), [id('persistentvolumes', metadata.name)]);
  }

  /** Tells the listener of all that concerns the node now, and from then on. Returns what ends it. */
  follow(node: string, listener: NodeListener): () => void {
    const view: View = { node, listener, references: new Map(), byPod: new Map(), ingress: false };
    this.#views.set(node, view);
    const own = this.#nodes.get(node);
    if (own) this.#ownNodeChanged(own);
    for (const [name, route] of this.#routes) if (name !== node) listener.changed('noderoutes', route);
    for (const name of this.#names.values()) listener.changed('namespaces', name);
    for (const [resource, informer] of Object.entries(this.#everywhere))
      for (const object of informer.list()) listener.changed(resource, object);
    for (const volume of this.#volumes.byIndex(LOCAL_PATH_NODE, node)) this.#holdLocal(view, volume);
    const unfollow = this.#policies.follow(node, listener);
    for (const pod of this.#pods.byIndex('node', node)) this.#tell(view, pod);
    return () => {
      unfollow();
      if (this.#views.get(node) === view) this.#views.delete(node);
    };
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#served.close();
    this.#policies.close();
    this.#views.clear();
  }

  /** Of other nodes only this is told, and only when it changes: their heartbeats concern nobody. */
  #routeChanged(node: Node): void {
    const { name } = node.metadata;
    const route = nodeRoute(node);
    if (!route || this.#routes.get(name)?.metadata.resourceVersion === route.metadata.resourceVersion) return;
    this.#routes.set(name, route);
    for (const [other, view] of this.#views) if (other !== name) view.listener.changed('noderoutes', route);
  }

  #ownNodeChanged(node: Node): void {
    const view = this.#views.get(node.metadata.name);
    if (!view) return;
    view.listener.changed('nodes', node);
    if (servesIngresses(node) === view.ingress) return;
    view.ingress = !view.ingress;
    for (const ingress of this.#served.list())
      if (view.ingress) this.#tellIngress(view, ingress);
      else this.#ingressGone(view, objectKey(ingress));
  }

  /** Its certificates first. */
  #tellIngress(view: View, ingress: Ingress): void {
    const { namespace } = ingress.metadata;
    const references = tlsSecrets(ingress).map((name) => id('secrets', `${namespace}/${name}`));
    this.#setReferences(view, ingressUser(objectKey(ingress)), references);
    view.listener.changed('ingresses', ingress);
  }

  #ingressGone(view: View, key: string): void {
    view.listener.gone('ingresses', key);
    this.#setReferences(view, ingressUser(key), []);
  }

  #podChanged(pod: Pod): void {
    const view = this.#views.get(pod.spec?.nodeName ?? '');
    if (view) this.#tell(view, pod);
  }

  /** What the pod refers to first, so that on its arrival all that exists is there. */
  #tell(view: View, pod: Pod): void {
    const key = objectKey(pod);
    const references = podReferences(pod).map(({ resource, name }) =>
      id(resource, `${pod.metadata.namespace}/${name}`),
    );
    this.#setReferences(view, key, references);
    this.#policies.podTold(pod.spec.nodeName!, pod);
    view.listener.changed('pods', pod);
  }

  #podGone(pod: Pod): void {
    const view = this.#views.get(pod.spec?.nodeName ?? '');
    if (!view) return;
    const key = objectKey(pod);
    view.listener.gone('pods', key);
    this.#policies.podGone(pod.spec.nodeName!, pod);
    this.#setReferences(view, key, []);
  }

  /** What the object refers to comes first. */
  #tellReferenced(view: View, resource: string, object: KubeObject): void {
    const further = furtherReferences(resource, object, view.node);
    this.#setReferences(view, objectUser(resource, objectKey(object)), further);
    view.listener.changed(resource, object);
  }

  #referencedGone(view: View, resource: string, key: string): void {
    view.listener.gone(resource, key);
    this.#setReferences(view, objectUser(resource, key), []);
  }

  #setReferences(view: View, podKey: string, references: string[]): void {
    const before = view.byPod.get(podKey) ?? [];
    if (references.length > 0) view.byPod.set(podKey, references);
    else view.byPod.delete(podKey);
    for (const ref of references) {
      const users = view.references.get(ref);
      if (users) users.add(podKey);
      else {
        view.references.set(ref, new Set([podKey]));
        const [resource = '', key = ''] = ref.split(' ');
        const object = this.#referenced[resource]?.get(key);
        if (object) this.#tellReferenced(view, resource, object);
      }
    }
    for (const ref of before) {
      if (references.includes(ref)) continue;
      const users = view.references.get(ref);
      users?.delete(podKey);
      if (users?.size !== 0) continue;
      view.references.delete(ref);
      const [resource = '', key = ''] = ref.split(' ');
      this.#referencedGone(view, resource, key);
    }
  }
}
