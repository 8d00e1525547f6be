/** Keeps the service maps of the node's nftables table of one IP family as Services and EndpointSlices say. */
import type { Logger } from 'pino';
import type { EndpointSlice, Service } from '#types';
import { type FlowFilter, native } from '../../runtime/native.js';
import type { Family } from '../family.js';
import { tableName } from '../names.js';
import { Batch } from '../nf-messages.js';
import type { ServiceRules } from '../types.js';
import { type Compiled, compile, type Elements, NOTHING } from './compile.js';
import { type Changes, Claims, encodeElements } from './elements.js';
import type { NodeFacts } from './endpoints.js';
import { HealthPorts } from './health.js';
import { compileHostPorts, type HostPortPod } from './host-ports.js';
import { MAPS, MASQUERADE } from './layout.js';
import { Numbers } from './numbers.js';
import { OfferedPods } from './offered.js';
import { masqueradeRules, pickRules } from './pick.js';
import { guardRules } from './source-ranges.js';

const SERVICE_NAME = 'kubernetes.io/service-name';
/** Another program's service proxy takes care of these. */
const OTHER_PROXY = 'service.kubernetes.io/service-proxy-name';
const RETRY_MS = 1000;
const UDP = 17;

export interface ServiceProxyOptions {
  cluster: string;
  family: Family;
  /** Puts the fixed rules in place again, in case that somebody took them away. */
  restore(): Promise<void>;
  logger?: Logger | undefined;
  kernel?: Pick<typeof native, 'netfilter' | 'deleteFlows'>;
}

interface Entry {
  service: Service | undefined;
  slices: Map<string, EndpointSlice>;
  /** In place of a Service: a pod that claims ports of the node. */
  pod?: HostPortPod | undefined;
  compiled: Compiled;
  /** Names whose numbers `compiled` uses. */
  names: Set<string>;
}

/**
 * Events mark Services; one transaction at a time brings all that were marked since the last. Once at the start, and after
 * a transaction that failed, the maps are emptied and filled in one transaction, so that no connection sees them half.
 */
export class ServiceProxy implements Omit<ServiceRules, 'hostPortsChanged'> {
  readonly #options: ServiceProxyOptions;
  readonly #kernel: NonNullable<ServiceProxyOptions['kernel']>;
  readonly #entries = new Map<string, Entry>();
  readonly #serviceOf = new Map<string, string>();
  readonly #dirty = new Set<string>();
  readonly #claims = new Claims();
  readonly #numbers = new Numbers();
  readonly #chains = new Set<string>();
  readonly #guards = new Map<string, string[]>();
  readonly #health: HealthPorts;
  readonly #offered = new OfferedPods();
  #node: NodeFacts = { name: '' };
  /** The kernel has what `claims` says. */
  #complete = false;
  #running = false;
  #closed = false;
  #scheduled: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: ServiceProxyOptions) {
    this.#options = options;
    this.#kernel = options.kernel ?? native;
    this.#health = new HealthPorts(options.logger);
  }

  setNode(facts: NodeFacts): void {
    if (facts.name === this.#node.name && facts.zone === this.#node.zone) return;
    this.#node = facts;
    for (const key of this.#entries.keys()) this.#dirty.add(key);
    this.#schedule();
  }

  serviceChanged(key: string, service: Service | undefined): void {
    const handled = service?.metadata.labels?.[OTHER_PROXY] === undefined ? service : undefined;
    this.#entry(key).service = handled;
    this.#mark(key);
  }

  sliceChanged(key: string, slice: EndpointSlice | undefined): void {
    const name = slice?.metadata.labels?.[SERVICE_NAME];
    const owner = name === undefined ? undefined : `${slice!.metadata.namespace}/${name}`;
    this.#offered.sliceChanged(key, slice);
    const before = this.#serviceOf.get(key);
    if (before !== undefined && before !== owner) {
      this.#entries.get(before)?.slices.delete(key);
      this.#serviceOf.delete(key);
      this.#mark(before);
    }
    if (owner === undefined) return;
    this.#serviceOf.set(key, owner);
    this.#entry(owner).slices.set(key, slice!);
    this.#mark(owner);
  }

  hostPortsChanged(uid: string, pod: HostPortPod | undefined): void {
    const key = `host ports of ${uid}`;
    if (!pod && !this.#entries.has(key)) return;
    this.#entry(key).pod = pod;
    this.#mark(key);
  }

  start(): void {
    this.#running = true;
    this.#schedule();
  }

  async withdrawn(uid: string): Promise<void> {
    await this.#offered.gone(uid);
    await this.settled();
  }

  /** Resolves once the kernel has all that was told, or a transaction has failed. */
  async settled(): Promise<void> {
    while (this.#scheduled) await this.#scheduled;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#offered.close();
    this.#health.close();
    await this.settled();
  }

  #entry(key: string): Entry {
    let entry = this.#entries.get(key);
    if (!entry) {
      entry = { service: undefined, slices: new Map(), compiled: NOTHING, names: new Set() };
      this.#entries.set(key, entry);
    }
    return entry;
  }

  #mark(key: string): void {
    this.#dirty.add(key);
    this.#schedule();
  }

  /** Changes that come together share a transaction. */
  #schedule(): void {
    if (!this.#running || this.#closed || this.#scheduled) return;
    this.#scheduled = new Promise<void>((resolve) => setImmediate(resolve))
      .then(() => this.#work())
      .finally(() => {
        this.#scheduled = undefined;
      });
  }

  async #work(): Promise<void> {
    while (!this.#closed && (this.#dirty.size > 0 || !this.#complete)) {
      const { changes, flows } = this.#collect();
      try {
        if (this.#complete) await this.#update(changes);
        else await this.#replace();
      } catch (error) {
        return this.#failed(error as Error);
      }
      await this.#forget(flows);
    }
  }

  #failed(error: Error): void {
    this.#options.logger?.error(
      { err: error },
      'services could not be programmed; all of them will be again',
    );
    this.#complete = false;
    this.#chains.clear();
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      const restored = this.#options.restore().catch((failure) => this.#failed(failure));
      void restored.then(() => this.#schedule());
    }, RETRY_MS);
  }

  /** What the marked Services change, and the flows that have lost their endpoint by it. */
  #collect(): { changes: Changes; flows: FlowFilter[] } {
    const changes: Changes = { deleted: new Map(), added: new Map() };
    const flows: FlowFilter[] = [];
    for (const key of this.#dirty) {
      const entry = this.#entries.get(key);
      if (!entry) continue;
      const before = entry.compiled;
      this.#compile(entry);
      this.#claims.set(key, entry.compiled.elements, changes);
      this.#health.set(key, entry.compiled.health);
      if (this.#complete) flows.push(...staleFlows(before, entry.compiled));
      if (!entry.service && !entry.pod && entry.slices.size === 0) this.#entries.delete(key);
    }
    this.#dirty.clear();
    return { changes, flows };
  }

  #compile(entry: Entry): void {
    const names = new Set<string>();
    const numberOf = (name: string) => {
      names.add(name);
      return this.#numbers.of(name);
    };
    const { service, slices, pod, compiled } = entry;
    const { family } = this.#options;
    entry.compiled = service
      ? compile(service, [...slices.values()], this.#node, numberOf, compiled, family.name)
      : pod
        ? compileHostPorts(pod, numberOf)
        : NOTHING;
    for (const [chain, ranges] of entry.compiled.guards ?? []) this.#guards.set(chain, ranges);
    for (const name of entry.names) if (!names.has(name)) this.#numbers.release(name);
    entry.names = names;
  }

  async #update({ deleted, added }: Changes): Promise<void> {
    const { family } = this.#options;
    const batch = this.#batch();
    this.#ensureChains(batch, added);
    for (const [map, elements] of encodeElements(deleted, false, family)) batch.deleteElements(map, elements);
    for (const [map, elements] of encodeElements(added, true, family)) batch.addElements(map, elements);
    if (!batch.isEmpty) await this.#kernel.netfilter(batch.bytes());
  }

  async #replace(): Promise<void> {
    const { family } = this.#options;
    const batch = this.#batch();
    const all = this.#claims.all();
    batch.chain(MASQUERADE.chain, masqueradeRules(family));
    for (const map of Object.keys(MAPS)) batch.flush(map);
    this.#ensureChains(batch, all);
    for (const [map, elements] of encodeElements(all, true, family)) batch.addElements(map, elements);
    await this.#kernel.netfilter(batch.bytes());
    this.#complete = true;
  }

  #batch(): Batch {
    return new Batch(tableName(this.#options.cluster), this.#options.family);
  }

  /** Chains that pick stay when they are not used any more: there are few, and they are used again. */
  #ensureChains(batch: Batch, elements: Elements): void {
    for (const data of elements.values()) {
      const chain = /^(?:goto (?=.+-\d+$)|jump )(.+)$/.exec(data)?.[1];
      if (chain === undefined || this.#chains.has(chain)) continue;
      const ranges = this.#guards.get(chain);
      const { family } = this.#options;
      batch.chain(chain, ranges ? guardRules(ranges, family) : pickRules(chain, family));
      this.#chains.add(chain);
    }
  }

  /** A tracked UDP "connection" would lead to an endpoint that is gone for as long as its client sends. */
  async #forget(flows: FlowFilter[]): Promise<void> {
    if (flows.length === 0) return;
    try {
      await this.#kernel.deleteFlows(flows);
    } catch (error) {
      this.#options.logger?.warn({ err: error }, 'tracked UDP flows could not be deleted');
    }
  }
}

/** Flows to endpoints that a UDP target has lost, and those that went past destinations that nobody served. */
export function staleFlows(before: Compiled, now: Compiled): FlowFilter[] {
  const flows: FlowFilter[] = [];
  for (const [target, slots] of before.slots) {
    if (!target.includes(':udp:')) continue;
    const left = new Set(now.slots.get(target));
    for (const at of slots) {
      if (left.has(at)) continue;
      const [reply, port] = at.split(' . ');
      flows.push({ protocol: UDP, reply: reply!, replyPort: Number(port) });
    }
  }
  for (const destination of now.udp) {
    if (before.udp.has(destination)) continue;
    const [original, port] = destination.split(' . ');
    if (port === undefined) flows.push({ protocol: UDP, originalPort: Number(original) });
    else flows.push({ protocol: UDP, original: original!, originalPort: Number(port) });
  }
  return flows;
}
