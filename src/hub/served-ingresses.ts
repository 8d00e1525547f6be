/** The Ingresses that Keelson's own controller serves, as Ingresses and classes come and go. */
import type { Ingress, IngressClass } from '#types';
import { objectKey } from '../api/machinery/types.js';
import { ingressClasses, ingresses } from '../api/resources/index.js';
import { isServed } from '../api/resources/networking/ingress-controller.js';
import type { Informer } from '../client/informer.js';
import type { Informers } from '../client/informers.js';

export interface ServedListener {
  served(ingress: Ingress): void;
  dropped(key: string): void;
}

export class ServedIngresses {
  readonly synced: Promise<unknown>;
  readonly #ingresses: Informer<Ingress>;
  readonly #classes: Informer<IngressClass>;
  readonly #served = new Map<string, Ingress>();
  readonly #listener: ServedListener;
  readonly #unsubscribe: (() => void)[];

  constructor(informers: Informers, listener: ServedListener) {
    this.#listener = listener;
    this.#ingresses = informers.of(ingresses);
    this.#classes = informers.of(ingressClasses);
    this.synced = Promise.all([this.#ingresses.synced, this.#classes.synced]);
    const all = () => {
      for (const ingress of this.#ingresses.list()) this.#judge(ingress);
    };
    this.#unsubscribe = [
      this.#ingresses.on({
        added: (ingress) => this.#judge(ingress),
        updated: (_, ingress) => this.#judge(ingress),
        deleted: (ingress) => this.#drop(objectKey(ingress)),
      }),
      this.#classes.on({ added: all, updated: all, deleted: all }),
    ];
  }

  list(): Iterable<Ingress> {
    return this.#served.values();
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
  }

  #judge(ingress: Ingress): void {
    const key = objectKey(ingress);
    if (!isServed(ingress, (name) => this.#classes.get(name)?.spec.controller)) this.#drop(key);
    else if (this.#served.get(key) !== ingress) {
      this.#served.set(key, ingress);
      this.#listener.served(ingress);
    }
  }

  #drop(key: string): void {
    if (this.#served.delete(key)) this.#listener.dropped(key);
  }
}
