/** Kinds that are declared at run time, as controllers follow them: each as long as it is served. */
import type { CustomResourceDefinition } from '#types';
import { anyServed, definitionOf } from '../api/extensions/custom-resource.js';
import { type KubeObject, parseApiVersion } from '../api/machinery/types.js';
import { customResourceDefinitions } from '../api/resources/apiextensions/custom-resource-definition.js';
import type { Resource } from '../api/resources/define.js';
import { findKind, resources } from '../api/resources/index.js';
import type { Informer, Informers } from '../client/index.js';

export interface CustomKindHandlers {
  /** What `informer` knows already is told by its own `on`. */
  added(resource: Resource, informer: Informer<KubeObject>): void;
  /** The informer is about to be closed; what it had is gone, or out of reach. */
  removed(resource: Resource): void;
}

interface Followed {
  /** Of the definition, with the version that is read. */
  id: string;
  resource: Resource;
}

export class CustomKinds {
  readonly #informers: Informers;
  readonly #definitions: Informer<CustomResourceDefinition>;
  /** By the name of the definition. */
  readonly #followed = new Map<string, Followed>();
  readonly #handlers = new Set<CustomKindHandlers>();

  constructor(informers: Informers) {
    this.#informers = informers;
    this.#definitions = informers.of(customResourceDefinitions);
    this.#definitions.on({
      added: (crd) => this.#observe(crd),
      updated: (_, crd) => this.#observe(crd),
      deleted: ({ metadata }) => this.#remove(metadata.name),
    });
  }

  /** The kinds that there are are told as `added` before it returns. Returns what ends the subscription. */
  follow(handlers: CustomKindHandlers): () => void {
    this.#handlers.add(handlers);
    for (const { resource } of this.#followed.values())
      handlers.added(resource, this.#informers.of(resource));
    return () => this.#handlers.delete(handlers);
  }

  /** Each kind in one version. */
  list(): Resource[] {
    return [...this.#followed.values()].map(({ resource }) => resource);
  }

  /** The resource of a kind, in that version or in another one of its group. */
  find(apiVersion: string, kind: string): Resource | undefined {
    const { group } = parseApiVersion(apiVersion);
    for (const { resource } of this.#followed.values()) {
      if (resource.group !== group || resource.kind !== kind) continue;
      const { served } = resource.custom!.definition;
      return served.find((other) => other.apiVersion === apiVersion) ?? resource;
    }
    return undefined;
  }

  #observe(crd: CustomResourceDefinition): void {
    const definition = definitionOf(crd);
    const resource = definition && anyServed(definition);
    if (resource === undefined) {
      this.#remove(crd.metadata.name);
      return;
    }
    const id = `${crd.metadata.uid}/${resource.apiVersion}/${resource.kind}`;
    const known = this.#followed.get(crd.metadata.name);
    if (known?.id === id) {
      known.resource = resource;
      return;
    }
    this.#remove(crd.metadata.name);
    this.#followed.set(crd.metadata.name, { id, resource });
    const informer = this.#informers.of(resource);
    for (const handlers of this.#handlers) handlers.added(resource, informer);
  }

  #remove(name: string): void {
    const known = this.#followed.get(name);
    if (known === undefined) return;
    this.#followed.delete(name);
    for (const handlers of this.#handlers) handlers.removed(known.resource);
    this.#informers.drop(known.resource);
  }
}

const shared = new WeakMap<Informers, CustomKinds>();

/** The kinds that all controllers with these informers follow together. */
export function customKindsOf(informers: Informers): CustomKinds {
  let kinds = shared.get(informers);
  if (kinds === undefined) {
    kinds = new CustomKinds(informers);
    shared.set(informers, kinds);
  }
  return kinds;
}

/** The resource that a reference by kind leads to, in any version of its group; undefined if there is none. */
export function resourceOfKind(apiVersion: string, kind: string, custom: CustomKinds): Resource | undefined {
  const { group } = parseApiVersion(apiVersion);
  return (
    findKind(apiVersion, kind) ??
    resources.find((resource) => resource.group === group && resource.kind === kind) ??
    custom.find(apiVersion, kind)
  );
}
