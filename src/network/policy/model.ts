/** What the policies, peers and pods that a node knows mean for its kernel: computed anew only for what has changed. Pure. */
import type { NetworkPolicy, Pod } from '#types';
import { familyOf } from '../../api/machinery/prefix.js';
import { labelSelector, type Selector } from '../../api/machinery/selectors.js';
import {
  type PolicyRules,
  parseMember,
  policyRules,
  portNumbers,
} from '../../api/resources/networking/policy-peers.js';
import type { Family } from '../family.js';
import type { Elements } from '../services/compile.js';
import { type Changes, Claims } from '../services/elements.js';
import {
  DIRECTIONS,
  type Direction,
  isolated,
  namedSet,
  peersSetOf,
  podsChain,
  policyChain,
  SELF,
} from './layout.js';
import { type ChainRules, chainRules } from './rules.js';
import { Users } from './users.js';

export type IsolatedPod = Pick<Pod, 'metadata' | 'spec'>;

interface Policy {
  namespace: string;
  selector: Selector;
  rules: PolicyRules;
}

interface LocalPod {
  ip: string;
  pod: IsolatedPod;
}

/** `undefined` rules: the chain is gone. */
export interface ModelChanges {
  elements: Changes;
  policyChains: Map<string, Buffer[] | undefined>;
}

/** Of one IP family. */
export class PolicyModel {
  readonly claims = new Claims();
  /** Sets beside the fixed ones. */
  readonly sets = new Users();
  /** Chains for sets of policies, by name. */
  readonly podChains = new Users();
  /** The policies of each of these, in order. */
  readonly #combinations = new Map<string, { policies: string[]; direction: Direction }>();
  readonly #policies = new Map<string, Policy>();
  readonly #chains = new Map<string, Buffer[]>();
  readonly #peers = new Map<string, string[]>();
  readonly #pods = new Map<string, LocalPod>();
  readonly #policiesIn = new Map<string, Set<string>>();
  readonly #podsIn = new Map<string, Set<string>>();
  readonly #dirtyPolicies = new Set<string>();
  readonly #dirtyPeers = new Set<string>();
  readonly #dirtyPods = new Set<string>();

  constructor(private readonly family: Family) {}

  get hasPolicies(): boolean {
    return this.#policies.size > 0;
  }

  get isDirty(): boolean {
    return this.#dirtyPolicies.size + this.#dirtyPeers.size + this.#dirtyPods.size > 0;
  }

  setPolicy(key: string, policy: NetworkPolicy | undefined): void {
    const namespace = key.slice(0, key.indexOf('/'));
    if (policy)
      this.#policies.set(key, {
        namespace,
        selector: labelSelector(policy.spec.podSelector ?? {}),
        rules: policyRules(policy),
      });
    else this.#policies.delete(key);
    put(this.#policiesIn, namespace, key, policy !== undefined);
    this.#dirtyPolicies.add(key);
    for (const uid of this.#podsIn.get(namespace) ?? []) this.#dirtyPods.add(uid);
  }

  /** `key`: `<group>/<part>`. */
  setPeers(key: string, members: string[] | undefined): void {
    if (members) this.#peers.set(key, members);
    else this.#peers.delete(key);
    this.#dirtyPeers.add(key);
  }

  setPod(uid: string, ip: string, pod: IsolatedPod): void {
    this.#pods.set(uid, { ip, pod });
    put(this.#podsIn, pod.metadata.namespace ?? '', uid, true);
    this.#dirtyPods.add(uid);
  }

  podChanged(uid: string, pod: IsolatedPod): void {
    const known = this.#pods.get(uid);
    if (known) this.setPod(uid, known.ip, pod);
  }

  removePod(uid: string): void {
    const known = this.#pods.get(uid);
    if (!known) return;
    this.#pods.delete(uid);
    put(this.#podsIn, known.pod.metadata.namespace ?? '', uid, false);
    this.#dirtyPods.add(uid);
  }

  /** Takes all that has changed since the last call into account. */
  collect(): ModelChanges {
    const changes: ModelChanges = {
      elements: { deleted: new Map(), added: new Map() },
      policyChains: new Map(),
    };
    for (const key of this.#dirtyPolicies) this.#compilePolicy(key, changes);
    for (const key of this.#dirtyPeers) this.#compilePeers(key, changes);
    for (const uid of this.#dirtyPods) this.#compilePod(uid, changes);
    for (const dirty of [this.#dirtyPolicies, this.#dirtyPeers, this.#dirtyPods]) dirty.clear();
    return changes;
  }

  policyChains(): Iterable<[name: string, rules: Buffer[]]> {
    return this.#chains;
  }

  combination(chain: string): { policies: string[]; direction: Direction } {
    return this.#combinations.get(chain)!;
  }

  #compilePolicy(key: string, { policyChains }: ModelChanges): void {
    const { rules } = this.#policies.get(key) ?? {};
    const sets: string[] = [];
    for (const direction of DIRECTIONS) {
      const name = policyChain(key, direction);
      const clauses = rules?.[direction];
      const chain: ChainRules | undefined = clauses && chainRules(clauses, direction, this.family);
      if (chain) {
        this.#chains.set(name, chain.rules);
        sets.push(...chain.sets);
        policyChains.set(name, chain.rules);
      } else if (this.#chains.delete(name)) policyChains.set(name, undefined);
    }
    this.sets.set(`policy ${key}`, [...new Set(sets)]);
  }

  #compilePeers(key: string, { elements }: ModelChanges): void {
    const members = this.#peers.get(key)?.map(parseMember);
    const set = peersSetOf(key.slice(0, key.indexOf('/')), members?.[0]?.port !== undefined);
    const wanted: Elements = new Map();
    for (const { ip, port } of members ?? [])
      if (familyOf(ip) === this.family.name)
        wanted.set(`${set} ${port === undefined ? ip : `${ip} . ${port}`}`, '');
    this.sets.set(`peers ${key}`, members ? [set] : []);
    this.claims.set(`peers ${key}`, wanted, elements);
  }

  #compilePod(uid: string, { elements }: ModelChanges): void {
    const wanted: Elements = new Map();
    const chains: string[] = [];
    const local = this.#pods.get(uid);
    if (local)
      for (const direction of DIRECTIONS) {
        const policies = this.#isolating(local.pod, direction);
        if (policies.length === 0) continue;
        const chain = podsChain(policies, direction);
        this.#combinations.set(chain, { policies, direction });
        chains.push(chain);
        wanted.set(`${isolated(direction)} ${local.ip}`, `goto ${chain}`);
        wanted.set(`${SELF} ${local.ip} . ${local.ip}`, '');
        if (direction === 'ingress') this.#addNamedPorts(local, policies, wanted);
      }
    this.podChains.set(uid, chains);
    this.claims.set(`pod ${uid}`, wanted, elements);
  }

  #isolating({ metadata }: IsolatedPod, direction: Direction): string[] {
    const candidates = this.#policiesIn.get(metadata.namespace ?? '') ?? [];
    return [...candidates]
      .filter((key) => {
        const { rules, selector } = this.#policies.get(key)!;
        return rules[direction] !== undefined && selector.matches(metadata.labels);
      })
      .sort();
  }

  #addNamedPorts({ ip, pod }: LocalPod, policies: string[], wanted: Elements): void {
    for (const key of policies)
      for (const { port } of this.#policies.get(key)!.rules.ingress ?? [])
        if (port !== 'any' && 'named' in port)
          for (const number of portNumbers(pod, port.named))
            wanted.set(`${namedSet(port.named)} ${ip} . ${number}`, '');
  }

  /** Forgets the chains that nobody uses. */
  forget(chain: string): void {
    this.#combinations.delete(chain);
  }
}

function put(map: Map<string, Set<string>>, key: string, value: string, present: boolean): void {
  const values = map.get(key);
  if (present && values) values.add(value);
  else if (present) map.set(key, new Set([value]));
  else if (values?.delete(value) && values.size === 0) map.delete(key);
}
