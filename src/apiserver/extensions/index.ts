/**
 * Kinds that are declared at run time, as the rest of the server sees them.
 * @see https://kubernetes.io/docs/concepts/extend-kubernetes/api-extension/custom-resources/
 */
import type { Resource } from '../../api/resources/define.js';
import type { User } from '../../auth/user.js';
import type { Transport } from '../../client/transport.js';
import type { Context, Deps } from '../context.js';
import { deleteCollection } from '../handlers/delete-collection.js';
import { conversionWebhook } from './conversion-webhook.js';
import type { ConversionWebhook } from './convert.js';
import { CustomStore } from './custom-store.js';
import { DefinitionKeeper } from './keeper.js';

export class Extensions {
  readonly #deps: Deps;
  readonly #webhook: ConversionWebhook;
  readonly #keeper: DefinitionKeeper;
  #started: Promise<void> | undefined;

  /** `transport` and `user` are those of the server itself. */
  constructor(deps: Deps, transport: Transport, user: User) {
    this.#deps = deps;
    this.#webhook = conversionWebhook(deps);
    const { store, clock, logger, closing } = deps;
    this.#keeper = new DefinitionKeeper({
      store,
      clock,
      logger,
      closing,
      transport,
      deleteAll: async ({ storage }) => {
        await deleteCollection(this.#contextOf(storage, user));
      },
    });
  }

  /** Follows the definitions from now on. */
  start(): Promise<void> {
    this.#started ??= this.#keeper.start();
    return this.#started;
  }

  closed(): Promise<void> {
    return this.#keeper.closed();
  }

  /** The store in the version of a custom kind, with the object of `key` ready. */
  async storeOf(resource: Resource, key: string | undefined): Promise<CustomStore> {
    const store = new CustomStore(this.#deps.store, resource, resource.custom!, this.#webhook);
    if (key !== undefined) await store.prime(key);
    return store;
  }

  /** Aborts once the kind is no longer what it was: who watches it has to start again. */
  retired({ custom }: Resource): AbortSignal {
    return this.#keeper.retired(custom!.definition);
  }

  #contextOf(resource: Resource, user: User): Context {
    const { group, version, plural } = resource;
    const verb = 'deletecollection';
    return {
      ...this.#deps,
      store: new CustomStore(this.#deps.store, resource, resource.custom!, this.#webhook),
      call: {
        method: 'DELETE',
        path: '',
        query: new URLSearchParams(),
        header: () => undefined,
        body: { type: 'none' },
        user,
        signal: this.#deps.closing,
      },
      attributes: {
        user,
        verb,
        isResource: true,
        group,
        version,
        resource: plural,
        subresource: '',
        namespace: '',
        name: '',
        path: '',
      },
      resource,
      warnings: [],
    };
  }
}
