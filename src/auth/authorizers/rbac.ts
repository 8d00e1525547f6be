/**
 * Authorization by Roles and their bindings, read from the store by its events.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/rbac/
 */
import { setImmediate } from 'node:timers/promises';
import type { PolicyRule } from '#types';
import type { Store, Watcher } from '../../store/store.js';
import { ruleAllows } from '../policy/policy-rules.js';
import type { Answer, Attributes, Authorizer, Rules, User } from '../user.js';
import { type Grant, RBAC_PREFIX, RbacIndex } from './rbac-index.js';

interface Followed {
  index: RbacIndex;
  watcher: Watcher;
}

/** Needs `close`. */
export class RbacAuthorizer implements Authorizer {
  readonly #store: Store;
  readonly #closed = new AbortController();
  #followed: Followed | undefined;
  #starting: Promise<Followed> | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  authorize(a: Attributes): Answer | Promise<Answer> {
    const followed = this.#followed;
    const answer = followed && judge(followed.index, a);
    return answer?.decision === 'allow' ? answer : this.#judgeNewest(a, followed, answer);
  }

  /** Every rule that `user` has in `namespace`, also those of the whole cluster. */
  async rulesFor(user: User, namespace: string): Promise<Rules> {
    const { index } = await this.#newest();
    const rules: PolicyRule[] = [];
    const errors = visitRules(index, user, namespace, (rule) => {
      rules.push(rule);
      return undefined;
    });
    return { rules, errors: Array.isArray(errors) ? errors : [], incomplete: false };
  }

  close(): void {
    this.#closed.abort();
    this.#followed?.watcher.close();
  }

  /** What is not allowed may be by a binding whose event is on its way here. */
  async #judgeNewest(a: Attributes, seen: Followed | undefined, answer: Answer | undefined): Promise<Answer> {
    if (answer && seen && this.#isNewest(seen)) return answer;
    const { index } = await this.#newest();
    return judge(index, a);
  }

  #isNewest({ watcher }: Followed): boolean {
    return watcher.revision >= this.#store.revision;
  }

  async #newest(): Promise<Followed> {
    if (this.#followed && !this.#isNewest(this.#followed)) await setImmediate();
    this.#starting ??= this.#start().catch((error) => {
      this.#starting = undefined;
      throw error;
    });
    return this.#starting;
  }

  async #start(): Promise<Followed> {
    const index = new RbacIndex();
    const { items, revision } = await this.#store.list(RBAC_PREFIX);
    for (const { key, object } of items) index.put(key, object);
    const followed = { index, watcher: this.#store.watch(RBAC_PREFIX, revision) };
    this.#followed = followed;
    void this.#follow(followed);
    return followed;
  }

  async #follow({ index, watcher }: Followed): Promise<void> {
    try {
      while (!this.#closed.signal.aborted) {
        for (const { type, stored } of await watcher.next(this.#closed.signal)) {
          if (type === 'DELETED') index.remove(stored.key);
          else index.put(stored.key, stored.object);
        }
      }
    } catch {
      // Fallen behind the window: begin anew at the next question.
      watcher.close();
      this.#followed = undefined;
      this.#starting = undefined;
    }
  }
}

function judge(index: RbacIndex, a: Attributes): Answer {
  const found = visitRules(index, a.user, a.namespace, (rule, grant) =>
    ruleAllows(rule, a) ? grant : undefined,
  );
  if (!Array.isArray(found)) return { decision: 'allow', reason: `RBAC: allowed by ${describeGrant(found)}` };
  return { decision: 'no-opinion', reason: found.length > 0 ? `RBAC: ${aggregate(found)}` : '' };
}

/** What `find` gives first for a rule that `user` has; else the errors met on the way. */
function visitRules<T>(
  index: RbacIndex,
  user: User,
  namespace: string,
  find: (rule: PolicyRule, grant: Grant) => T | undefined,
): T | string[] {
  let found: T | undefined;
  const errors: string[] = [];
  index.visit(user, namespace, (grant) => {
    const rules = index.rulesOf(grant.binding, grant.binding.metadata.namespace ?? '');
    if (rules === undefined) {
      const { kind, name } = grant.binding.roleRef;
      errors.push(`${kind.toLowerCase()}.rbac.authorization.k8s.io "${name}" not found`);
      return false;
    }
    for (const rule of rules) {
      found = find(rule, grant);
      if (found !== undefined) return true;
    }
    return false;
  });
  return found ?? errors;
}

/** Several errors as upstream's aggregates print them. */
export function aggregate(errors: string[]): string {
  const distinct = [...new Set(errors)];
  return distinct.length === 1 ? distinct[0]! : `[${distinct.join(', ')}]`;
}

function describeGrant({ binding, subject }: Grant): string {
  const { kind, metadata, roleRef } = binding;
  const namespace = metadata.namespace ?? '';
  const name = namespace === '' ? metadata.name : `${metadata.name}/${namespace}`;
  const who =
    subject.kind === 'ServiceAccount' ? `${subject.name}/${subject.namespace || namespace}` : subject.name;
  return `${kind} "${name}" of ${roleRef.kind} "${roleRef.name}" to ${subject.kind} "${who}"`;
}
