/**
 * Gathers the rules of labelled ClusterRoles in those that have an aggregation rule.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles
 */
import type { ClusterRole, PolicyRule } from '#types';
import { labelSelector } from '../api/machinery/selectors.js';
import { isReason } from '../api/machinery/status.js';
import { sameJson } from '../api/machinery/validation.js';
import { clusterRoles } from '../api/resources/index.js';
import { type Controller, type ControllersOptions, contextOf, WorkLoop } from './context.js';

export function startClusterRoleAggregation(options: ControllersOptions): Controller {
  const context = contextOf(options, 'clusterrole-aggregation-controller');
  const all = context.informers.of(clusterRoles);

  const reconcile = async (name: string): Promise<void> => {
    const role = all.get(name);
    if (!role?.aggregationRule) return;
    const rules = gatheredRules(role, all.list());
    if (sameJson(rules, role.rules)) return;
    try {
      await context.client.of(clusterRoles).update({ ...role, rules });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  };

  const loop = new WorkLoop(context, [all.synced], reconcile);
  const changed = () => {
    for (const { metadata, aggregationRule } of all.list())
      if (aggregationRule) loop.queue.add(metadata.name);
  };
  loop.onClose(all.on({ added: changed, updated: changed, deleted: changed }));
  return loop;
}

/** The rules of every other role that a selector of `role` matches, each once: by selector, then by name. */
export function gatheredRules(role: ClusterRole, all: readonly ClusterRole[]): PolicyRule[] {
  const sorted = [...all].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const rules: PolicyRule[] = [];
  for (const wanted of role.aggregationRule?.clusterRoleSelectors ?? []) {
    const selector = labelSelector(wanted);
    for (const { metadata, rules: own } of sorted) {
      if (metadata.name === role.metadata.name || !selector.matches(metadata.labels ?? {})) continue;
      for (const rule of own ?? []) if (!rules.some((known) => sameJson(known, rule))) rules.push(rule);
    }
  }
  return rules;
}
