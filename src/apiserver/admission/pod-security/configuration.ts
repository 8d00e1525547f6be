/** PodSecurityConfiguration: the policy of namespaces without labels, and what is exempt from it. */
import {
  LEVEL_RULE,
  MODES,
  type Policy,
  PRIVILEGED,
  parseLevel,
  parsePolicyVersion,
  VERSION_RULE,
} from '../../../api/pod-security/policy.js';

export interface PodSecurityConfiguration {
  defaults: Policy;
  exemptions: { usernames: Set<string>; runtimeClasses: Set<string>; namespaces: Set<string> };
}

export const NO_CONFIGURATION: PodSecurityConfiguration = {
  defaults: PRIVILEGED,
  exemptions: { usernames: new Set(), runtimeClasses: new Set(), namespaces: new Set() },
};

const API_VERSION = 'pod-security.admission.config.k8s.io/v1';

/**
 * Reads a PodSecurityConfiguration as it stands in a file. Throws an Error of one sentence that names the field.
 * @see https://kubernetes.io/docs/tasks/configure-pod-container/enforce-standards-admission-controller/
 */
export function podSecurityConfiguration(given: unknown): PodSecurityConfiguration {
  const config = (given ?? {}) as Record<string, any>;
  if (config['apiVersion'] !== API_VERSION || config['kind'] !== 'PodSecurityConfiguration')
    throw new Error(`PodSecurity: configuration must be a PodSecurityConfiguration of ${API_VERSION}`);
  const defaults: Policy = { ...PRIVILEGED };
  for (const mode of MODES) {
    const [level, version] = [config['defaults']?.[mode], config['defaults']?.[`${mode}-version`]];
    defaults[mode] = {
      level: parsed(parseLevel, level ?? 'privileged', `defaults.${mode}`, LEVEL_RULE),
      version: parsed(parsePolicyVersion, version ?? 'latest', `defaults.${mode}-version`, VERSION_RULE),
    };
  }
  const names = (field: string): Set<string> => {
    const list = config['exemptions']?.[field] ?? [];
    if (!Array.isArray(list) || list.some((name) => typeof name !== 'string' || name === ''))
      throw new Error(`PodSecurity: exemptions.${field} must be a list of names`);
    return new Set(list);
  };
  return {
    defaults,
    exemptions: {
      usernames: names('usernames'),
      runtimeClasses: names('runtimeClasses'),
      namespaces: names('namespaces'),
    },
  };
}

function parsed<T>(parse: (text: string) => T | undefined, value: unknown, field: string, rule: string): T {
  const found = parse(String(value));
  if (found === undefined) throw new Error(`PodSecurity: ${field} is ${JSON.stringify(value)}: ${rule}`);
  return found;
}
