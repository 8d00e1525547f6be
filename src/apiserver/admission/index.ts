/** The admission plugins that are always on, in upstream's order. */
import type { Authorizer } from '../../auth/user.js';
import type { Store } from '../../store/store.js';
import { conversionWebhook } from '../extensions/conversion-webhook.js';
import type { WebhookClient } from '../webhooks/index.js';
import { adminAccess } from './admin-access.js';
import { type Admission, createAdmission } from './admission.js';
import { certificateRequests } from './certificates.js';
import { claimResize } from './claim-resize.js';
import { defaultIngressClass } from './default-ingress-class.js';
import { defaultStorageClass } from './default-storage-class.js';
import { limitRanger } from './limit-ranger.js';
import type { AdmissionMeasures } from './measures.js';
import { namespaceLifecycle } from './namespace-lifecycle.js';
import { nodeRestriction, taintNewNodes } from './nodes.js';
import { defaultTolerations, priority } from './pod-defaults.js';
import type { PodSecurityConfiguration } from './pod-security/configuration.js';
import { podSecurity } from './pod-security/plugin.js';
import { mutatingPolicies } from './policy/mutating.js';
import { validatingPolicies } from './policy/validating.js';
import { priorityClassRules } from './priority-class.js';
import { rbacEscalation } from './rbac-escalation.js';
import { resourceQuota } from './resource-quota.js';
import { runtimeClass } from './runtime-class.js';
import { serviceAccountPlugin } from './service-account.js';
import { storageProtection } from './storage-protection.js';
import { mutatingWebhooks, validatingWebhooks } from './webhooks/plugins.js';

export function builtInAdmission({
  store,
  authorizer,
  webhooks,
  measures,
  podSecurity: configuration,
}: {
  store: Store;
  authorizer: Authorizer;
  webhooks: WebhookClient;
  measures: AdmissionMeasures;
  podSecurity?: PodSecurityConfiguration;
}): Admission {
  const parts = { store, authorizer, webhooks, measures, convert: conversionWebhook({ webhooks }) };
  return createAdmission(
    [
      namespaceLifecycle(store),
      limitRanger(store),
      serviceAccountPlugin(store),
      nodeRestriction(store, authorizer),
      taintNewNodes,
      podSecurity(store, configuration),
      priority(store),
      priorityClassRules(store),
      defaultTolerations,
      defaultIngressClass(store),
      rbacEscalation(store, authorizer),
      certificateRequests(authorizer),
      defaultStorageClass(store),
      storageProtection,
      claimResize(store),
      runtimeClass(store),
      adminAccess(store),
      mutatingPolicies(parts),
      mutatingWebhooks(parts),
      validatingPolicies(parts),
      validatingWebhooks(parts),
      resourceQuota(store),
    ],
    measures,
  );
}
