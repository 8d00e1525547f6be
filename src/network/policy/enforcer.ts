/** Keeps the node's nftables table for NetworkPolicies, of one IP family, as policies, peers and pods say. */
import type { Logger } from 'pino';
import type { NetworkPolicy } from '#types';
import { native } from '../../runtime/native.js';
import type { Family } from '../family.js';
import { policyTableName } from '../names.js';
import { Batch, type ElementBytes, verdictData } from '../nf-messages.js';
import type { Elements } from '../services/compile.js';
import { bytesOf } from '../services/elements.js';
import type { PodPolicies } from '../types.js';
import { baseChain, baseRules, DIRECTIONS, definitionOf, FIXED, HOOKS, podsRules } from './layout.js';
import { type IsolatedPod, type ModelChanges, PolicyModel } from './model.js';

const RETRY_MS = 1000;

export interface PolicyEnforcerOptions {
  cluster: string;
  family: Family;
  logger?: Logger | undefined;
  kernel?: Pick<typeof native, 'netfilter'>;
}

/**
 * Changes that come together share a transaction. At the start, and after a transaction that failed, the table is replaced
 * in one: no packet finds it half made.
 */
export class PolicyEnforcer implements PodPolicies {
  readonly #kernel: Pick<typeof native, 'netfilter'>;
  readonly #model: PolicyModel;
  /** What the table has, beside the fixed part. */
  readonly #sets = new Set<string>();
  readonly #podChains = new Set<string>();
  #hasTable = false;
  /** The kernel has what the model says. */
  #complete = false;
  #begin = () => {};
  readonly #begun: Promise<void>;
  #running = false;
  #closed = false;
  #scheduled: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;

  constructor(private readonly options: PolicyEnforcerOptions) {
    this.#kernel = options.kernel ?? native;
    this.#model = new PolicyModel(options.family);
    this.#begun = new Promise((resolve) => {
      this.#begin = resolve;
    });
  }

  policyChanged(key: string, policy: NetworkPolicy | undefined): void {
    this.#model.setPolicy(key, policy);
    this.#schedule();
  }

  peersChanged(key: string, peers: { members: string[] } | undefined): void {
    this.#model.setPeers(key, peers?.members);
    this.#schedule();
  }

  async isolate(uid: string, ip: string, pod: IsolatedPod): Promise<void> {
    this.#model.setPod(uid, ip, pod);
    this.#schedule();
    await this.#begun;
    await this.settled();
    if (!this.#complete && !this.#closed) throw new Error('the network policies of the pod could not be set');
  }

  podChanged(uid: string, pod: IsolatedPod): void {
    this.#model.podChanged(uid, pod);
    this.#schedule();
  }

  release(uid: string): void {
    this.#model.removePod(uid);
    this.#schedule();
  }

  start(): void {
    this.#running = true;
    this.#schedule();
    this.#begin();
  }

  async settled(): Promise<void> {
    while (this.#scheduled) await this.#scheduled;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#begin();
    clearTimeout(this.#retry);
    await this.settled();
  }

  #schedule(): void {
    if (!this.#running || this.#closed || this.#scheduled) return;
    this.#scheduled = new Promise<void>((resolve) => setImmediate(resolve))
      .then(() => this.#work())
      .finally(() => {
        this.#scheduled = undefined;
      });
  }

  async #work(): Promise<void> {
    while (!this.#closed && (this.#model.isDirty || !this.#complete)) {
      const changes = this.#model.collect();
      try {
        const { hasPolicies } = this.#model;
        if (this.#complete && this.#hasTable && hasPolicies) await this.#update(changes);
        else if (!this.#complete || this.#hasTable !== hasPolicies) await this.#replace();
      } catch (error) {
        return this.#failed(error as Error);
      }
    }
  }

  #failed(error: Error): void {
    this.options.logger?.error(
      { err: error },
      'network policies could not be set; all of them will be again',
    );
    this.#complete = false;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#schedule(), RETRY_MS);
  }

  async #replace(): Promise<void> {
    const batch = new Batch(policyTableName(this.options.cluster), this.options.family);
    const { sets, podChains, claims, hasPolicies } = this.#model;
    const { family } = this.options;
    batch.deleteTable();
    for (const known of [this.#sets, this.#podChains]) known.clear();
    for (const users of [sets, podChains]) users.touched.clear();
    if (hasPolicies) {
      batch.newTable();
      for (const [name, definition] of Object.entries(FIXED)) batch.newSet(name, definition);
      this.#addSets(batch, sets.names());
      for (const [name, rules] of this.#model.policyChains()) batch.chain(name, rules);
      this.#addPodChains(batch, podChains.names());
      for (const [set, elements] of encode(claims.all(), true, family)) batch.addElements(set, elements);
      for (const direction of DIRECTIONS)
        batch.chain(baseChain(direction), baseRules(direction, family), HOOKS[direction]);
    }
    await this.#kernel.netfilter(batch.bytes());
    this.#complete = true;
    this.#hasTable = hasPolicies;
  }

  /** What is needed comes before what needs it, and goes after it. */
  async #update({ elements, policyChains }: ModelChanges): Promise<void> {
    const batch = new Batch(policyTableName(this.options.cluster), this.options.family);
    const { sets, podChains } = this.#model;
    const { family } = this.options;
    const gone = (users: typeof sets, known: Set<string>) =>
      [...users.touched].filter((name) => !users.has(name) && known.delete(name));
    this.#addSets(
      batch,
      [...sets.touched].filter((name) => sets.has(name)),
    );
    for (const [name, rules] of policyChains) if (rules) batch.chain(name, rules);
    this.#addPodChains(
      batch,
      [...podChains.touched].filter((name) => podChains.has(name)),
    );
    for (const [set, list] of encode(elements.deleted, false, family)) batch.deleteElements(set, list);
    for (const [set, list] of encode(elements.added, true, family)) batch.addElements(set, list);
    for (const name of gone(podChains, this.#podChains)) {
      batch.deleteChain(name);
      this.#model.forget(name);
    }
    for (const [name, rules] of policyChains) if (!rules) batch.deleteChain(name);
    for (const name of gone(sets, this.#sets)) batch.deleteSet(name);
    for (const users of [sets, podChains]) users.touched.clear();
    if (!batch.isEmpty) await this.#kernel.netfilter(batch.bytes());
  }

  #addSets(batch: Batch, names: Iterable<string>): void {
    for (const name of names) {
      if (this.#sets.has(name)) continue;
      batch.newSet(name, definitionOf(name));
      this.#sets.add(name);
    }
  }

  #addPodChains(batch: Batch, names: Iterable<string>): void {
    for (const name of names) {
      if (this.#podChains.has(name)) continue;
      const { policies, direction } = this.#model.combination(name);
      batch.chain(name, podsRules(policies, direction));
      this.#podChains.add(name);
    }
  }
}

/** The elements by set, as the kernel takes them. */
function encode(elements: Elements, withData: boolean, family: Family): Map<string, ElementBytes[]> {
  const bySet = new Map<string, ElementBytes[]>();
  for (const [name, data] of elements) {
    const space = name.indexOf(' ');
    const set = name.slice(0, space);
    const element: ElementBytes = { key: bytesOf(definitionOf(set).key, name.slice(space + 1), family) };
    if (withData && data) element.data = verdictData({ goto: data.slice('goto '.length) });
    const list = bySet.get(set);
    if (list) list.push(element);
    else bySet.set(set, [element]);
  }
  return bySet;
}
