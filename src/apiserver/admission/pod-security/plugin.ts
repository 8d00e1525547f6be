/**
 * PodSecurity: pods must keep to the level that their namespace enforces; templates and namespaces are warned about.
 * @see https://kubernetes.io/docs/concepts/security/pod-security-admission/
 */
import type { Pod, PodTemplateSpec } from '#types';
import { invalid } from '../../../api/machinery/status.js';
import type { KubeObject } from '../../../api/machinery/types.js';
import { sameJson } from '../../../api/machinery/validation.js';
import type { Finding, PodView } from '../../../api/pod-security/check.js';
import {
  evaluatePod,
  findingsText,
  type LevelVersion,
  levelText,
} from '../../../api/pod-security/evaluate.js';
import {
  askedText,
  compareLevels,
  isFullyPrivileged,
  MODES,
  type Policy,
  policyOf,
  samePolicy,
} from '../../../api/pod-security/policy.js';
import type { Store } from '../../../store/store.js';
import { type AdmissionPlugin, type AdmissionRequest, annotateAudit, refuse } from '../admission.js';
import { NO_CONFIGURATION, type PodSecurityConfiguration } from './configuration.js';
import { warningsOfNamespace } from './namespace.js';

const PREFIX = 'pod-security.kubernetes.io/';
/** These change nothing of what is looked at. */
const IGNORED_OF_PODS = new Set('exec attach binding eviction log portforward proxy status'.split(' '));

/** Resources with a template of pods, and where it stands. */
const TEMPLATES: Record<string, (object: any) => PodTemplateSpec | undefined> = {
  '/podtemplates': (object) => object.template,
  '/replicationcontrollers': (object) => object.spec?.template,
  'apps/replicasets': (object) => object.spec?.template,
  'apps/deployments': (object) => object.spec?.template,
  'apps/statefulsets': (object) => object.spec?.template,
  'apps/daemonsets': (object) => object.spec?.template,
  'batch/jobs': (object) => object.spec?.template,
  'batch/cronjobs': (object) => object.spec?.jobTemplate?.spec?.template,
};

export function podSecurity(
  store: Store,
  { defaults, exemptions }: PodSecurityConfiguration = NO_CONFIGURATION,
): AdmissionPlugin {
  const isExempt = ({ namespace, user }: AdmissionRequest) =>
    exemptions.namespaces.has(namespace) || exemptions.usernames.has(user.name);

  function checkPod(request: AdmissionRequest): void {
    if (IGNORED_OF_PODS.has(request.subresource) || isExempt(request)) return;
    const policy = policyOfNamespace(store, request.namespace, defaults);
    if (isFullyPrivileged(policy)) return;
    const pod = request.object as unknown as Pod;
    if (request.old && !isSignificant(pod, request.old as unknown as Pod)) return;
    evaluate(request, policy, pod, true);
  }

  function checkTemplate(request: AdmissionRequest, template: PodTemplateSpec | undefined): void {
    if (request.subresource !== '' || !template?.spec || isExempt(request)) return;
    const policy = policyOfNamespace(store, request.namespace, defaults);
    if (policy.warn.level === 'privileged' && policy.audit.level === 'privileged') return;
    evaluate(request, policy, template, false);
  }

  function evaluate(request: AdmissionRequest, policy: Policy, pod: Partial<Pod>, enforce: boolean): void {
    if (exemptions.runtimeClasses.has(pod.spec?.runtimeClassName ?? '')) return;
    const view: PodView = { annotations: pod.metadata?.annotations ?? {}, spec: pod.spec! };
    const known = new Map<string, Finding[]>();
    const violations = (level: LevelVersion): string => {
      const text = levelText(level);
      const findings = known.get(text) ?? evaluatePod(level, view);
      known.set(text, findings);
      return findings.length === 0
        ? ''
        : `violate PodSecurity ${JSON.stringify(text)}: ${findingsText(findings)}`;
    };
    if (enforce) {
      annotateAudit(request, `${PREFIX}enforce-policy`, levelText(policy.enforce));
      const forbidden = violations(policy.enforce);
      if (forbidden !== '') throw refuse(request, forbidden.replace('violate', 'violates'));
    }
    const audited = violations(policy.audit);
    if (audited !== '') annotateAudit(request, `${PREFIX}audit-violations`, `would ${audited}`);
    const warned = violations(policy.warn);
    if (warned !== '') warn(request, `would ${warned}`);
  }

  async function checkNamespace(request: AdmissionRequest): Promise<void> {
    if (request.subresource !== '') return;
    const { resource, name, object, old } = request;
    const labels = object!.metadata.labels;
    const next = policyOf(labels, defaults);
    const before = old && policyOf(old.metadata.labels, defaults);
    if (next.errors.length > 0 && !(before && sameJson(next.errors, before.errors)))
      throw invalid(resource.group, resource.kind, name, next.errors);
    if (before && !isStricter(next.policy.enforce, before.policy.enforce)) return;
    if (exemptions.namespaces.has(name)) {
      const same = MODES.every((mode) => samePolicy(next.policy[mode], defaults[mode]));
      if (!isFullyPrivileged(next.policy) && !same)
        warn(
          request,
          `namespace ${JSON.stringify(name)} is exempt from Pod Security, and the policy (${askedText(next.policy, labels)}) will be ignored`,
        );
      return;
    }
    if (!before) return;
    const { items } = await store.list(`core/pods/${name}/`);
    const pods = items
      .map(({ object: pod }) => pod as unknown as Pod)
      .filter(({ spec }) => !exemptions.runtimeClasses.has(spec?.runtimeClassName ?? ''));
    for (const text of await warningsOfNamespace(name, next.policy.enforce, pods)) warn(request, text);
  }

  return {
    name: 'PodSecurity',
    async validate(request) {
      const { resource, operation } = request;
      if (operation !== 'CREATE' && operation !== 'UPDATE') return;
      const full = `${resource.group}/${resource.plural}`;
      if (full === '/pods') return checkPod(request);
      if (full === '/namespaces') return checkNamespace(request);
      const template = Object.hasOwn(TEMPLATES, full) ? TEMPLATES[full] : undefined;
      if (template) checkTemplate(request, template(request.object));
    },
  };
}

/** Policies by namespace: objects are frozen, and the same until they change. */
const policies = new WeakMap<KubeObject, { defaults: Policy; policy: Policy }>();

function policyOfNamespace(store: Store, name: string, defaults: Policy): Policy {
  const namespace = store.get(`core/namespaces//${name}`)?.object;
  if (!namespace) return policyOf(undefined, defaults).policy;
  const known = policies.get(namespace);
  if (known?.defaults === defaults) return known.policy;
  const { policy } = policyOf(namespace.metadata.labels, defaults);
  policies.set(namespace, { defaults, policy });
  return policy;
}

/** Whether pods that were allowed may be no longer. */
function isStricter(next: LevelVersion, before: LevelVersion): boolean {
  if (samePolicy(next, before) || next.level === 'privileged') return false;
  return next.version !== before.version || compareLevels(next.level, before.level) > 0;
}

/** Of what an update can change, only images and new ephemeral containers count. */
function isSignificant({ spec }: Pod, { spec: old }: Pod): boolean {
  if (!spec || !old) return false;
  const ephemeral = old.ephemeralContainers ?? [];
  return (
    imagesOf(spec.containers) !== imagesOf(old.containers) ||
    imagesOf(spec.initContainers) !== imagesOf(old.initContainers) ||
    (spec.ephemeralContainers ?? []).some(
      ({ name, image }) => !ephemeral.some((other) => other.name === name && other.image === image),
    )
  );
}

const imagesOf = (containers: { image?: string }[] = []): string =>
  JSON.stringify(containers.map(({ image }) => image));

/** Once, also if the request is tried again after a lost race. */
function warn({ warnings }: AdmissionRequest, text: string): void {
  if (!warnings.includes(text)) warnings.push(text);
}
